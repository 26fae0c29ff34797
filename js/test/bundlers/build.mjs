// Bundles a page with each bundler, without any setting for the package, but for esbuild.
import { cpSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { gzipSync } from "node:zlib";

/** Bundlers by name; each takes the page's folder and the folder to fill. */
export const BUNDLERS = {
  async Vite(page, out) {
    const { build } = await import("vite");
    const settings = { root: page, base: "./", configFile: false, logLevel: "warn" };
    await build({ ...settings, build: { outDir: out, emptyOutDir: true, target: "es2022" } });
  },

  async esbuild(page, out) {
    const { build } = await import("esbuild");
    await build({
      // esbuild does not look for Workers, so it has to be told of this one.
      entryPoints: { main: path.join(page, "main.js"), worker: "oci-fetcher/worker" },
      absWorkingDir: page,
      bundle: true,
      format: "esm",
      splitting: true,
      minify: true,
      outdir: out,
      target: "es2022",
    });
    cpSync(path.join(page, "index.html"), path.join(out, "index.html"));
  },

  async webpack(page, out) {
    const webpack = createRequire(import.meta.url)("webpack");
    const compiler = webpack({
      mode: "production",
      context: page,
      entry: "./main.js",
      output: { path: out, filename: "main.js", publicPath: "auto" },
      target: ["web", "es2022"],
      performance: { hints: false },
    });
    const stats = await new Promise((resolve, reject) => {
      compiler.run((error, stats) => (error ? reject(error) : resolve(stats)));
    });
    await new Promise((resolve) => compiler.close(resolve));
    if (stats.hasErrors()) throw new Error(stats.toString({ all: false, errors: true }));
    cpSync(path.join(page, "index.html"), path.join(out, "index.html"));
  },
};

/** Bundles; returns the folder. */
export async function bundle(name, page, out) {
  mkdirSync(out, { recursive: true });
  await BUNDLERS[name](page, out);
  return out;
}

/** Weighs the files of a folder: bytes as they are, and by gzip. */
export function weigh(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => {
    const file = path.join(parentPath, name);
    const bytes = readFileSync(file);
    return { name: path.relative(folder, file), bytes: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
  });
}
