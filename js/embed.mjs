// Writes the WebAssembly module into a script, for runtimes that can load nothing else.
import { readFile, writeFile } from "node:fs/promises";

const bytes = await readFile(new URL("wasm/oci_fetcher_bg.wasm", import.meta.url));
await writeFile(
  new URL("src/entry/embedded.ts", import.meta.url),
  `/** Returns the WebAssembly module's bytes. */
export function embeddedModule(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(BASE64), (character) => character.charCodeAt(0));
}

const BASE64: string = "${bytes.toString("base64")}";
`,
);
