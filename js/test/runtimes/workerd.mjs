// workerd, through miniflare: the scenario is bundled as wrangler does, with the module beside it.
import { readFileSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import { Miniflare } from "miniflare";

/** Runs the scenario of a project in workerd; returns what it answers. */
export async function runInWorkerd(project, given) {
  const modules = [];
  const { outputFiles } = await build({
    entryPoints: [path.join(project.folder, "worker.mjs")],
    bundle: true,
    write: false,
    format: "esm",
    conditions: ["workerd"],
    plugins: [compiledModules(modules)],
  });
  const miniflare = new Miniflare({
    modules: [{ type: "ESModule", path: "worker.mjs", contents: outputFiles[0].text }, ...modules],
    compatibilityDate: "2026-01-01",
  });
  try {
    const answer = await miniflare.dispatchFetch("http://worker.example/", {
      method: "POST",
      body: JSON.stringify(given),
    });
    return JSON.parse(await answer.text());
  } finally {
    await miniflare.dispose();
  }
}

/** Leaves imports of WebAssembly to the runtime, which compiles them when the Worker is deployed. */
function compiledModules(modules) {
  return {
    name: "compiled modules",
    setup(build) {
      build.onResolve({ filter: /\.wasm(\?module)?$/ }, ({ path: request, resolveDir }) => {
        const file = path.resolve(resolveDir, request.replace(/\?module$/, ""));
        const name = path.basename(file);
        modules.push({ type: "CompiledWasm", path: name, contents: readFileSync(file) });
        return { path: `./${name}`, external: true };
      });
    },
  };
}
