// Checks the probe's module: it imports nothing, and its fixture comes out well.
import { readFileSync } from "node:fs";

const WELL = 0x6f636921;
const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const imports = WebAssembly.Module.imports(module);
if (imports.length > 0) {
  console.error("the core imports", imports);
  process.exit(1);
}
const result = new WebAssembly.Instance(module).exports.run();
if (result !== WELL) {
  console.error(`step ${result} of the fixture came out wrong`);
  process.exit(1);
}
console.log("the core imports nothing, and its fixture comes out well");
