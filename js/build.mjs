// Builds the WebAssembly module and its glue into wasm/: cargo, wasm-bindgen's tool (as the program
// host-wasm/bindgen, so that versions cannot drift), then wasm-opt.
//
//   node build.mjs                the module as it is published
//   node build.mjs --names        with names of functions, to see what is large or slow
//   node build.mjs --measure      into wasm-measure/, with what measurements compare with
import { spawnSync } from "node:child_process";
import { mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));
const names = process.argv.includes("--names");
const measure = process.argv.includes("--measure");
const folder = fileURLToPath(new URL(measure ? "wasm-measure/" : "wasm/", import.meta.url));
const TARGET = "wasm32-unknown-unknown";

function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit", env: { ...process.env, ...env } });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function output(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} failed: ${stderr}`);
  return stdout.trim();
}

// Panics name their places: without the machine's own paths the same sources make the same bytes.
function remapped() {
  const cargo = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  const sysroot = output("rustc", ["--print", "sysroot"]);
  return [
    [root.replace(/[/\\]$/, ""), "."],
    [join(cargo, "registry", "src"), "crates"],
    [join(sysroot, "lib", "rustlib", "src", "rust"), "rust"],
  ].map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
}

const flags = [...remapped(), ...(names ? ["-Cstrip=none", "-Csymbol-mangling-version=v0"] : [])];
const features = measure ? ["--features", "measure"] : [];
run("cargo", ["build", "--profile", "wasm", "--package", "oci-fetcher-wasm", "--target", TARGET, ...features], {
  CARGO_ENCODED_RUSTFLAGS: flags.join("\u001f"),
});
const { target_directory: target } = JSON.parse(output("cargo", ["metadata", "--no-deps", "--format-version", "1"]));
const built = join(target, TARGET, "wasm", "oci_fetcher_wasm.wasm");

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
const bindgen = ["run", "--quiet", "--release", "--package", "oci-fetcher-bindgen", "--"];
run("cargo", [...bindgen, built, folder, "oci_fetcher", ...(names ? ["--names"] : [])]);

// The features that the compiler used are written in the module; none is added here, since Node 20
// refuses what it does not know.
const wasm = join(folder, "oci_fetcher_bg.wasm");
const optimised = `${wasm}.optimised`;
const binaryen = dirname(createRequire(import.meta.url).resolve("binaryen/package.json"));
run(process.execPath, [join(binaryen, "bin", "wasm-opt"), "-O3", ...(names ? ["-g"] : []), wasm, "-o", optimised]);
await rename(optimised, wasm);

const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
for (const name of ["oci_fetcher_bg.wasm", "oci_fetcher.js"]) {
  const path = join(folder, name);
  const { size } = await stat(path);
  console.log(`${name}: ${kilobytes(size)}, ${kilobytes(gzipSync(await readFile(path), { level: 9 }).length)} gzip`);
}
