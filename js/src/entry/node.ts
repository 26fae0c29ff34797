import { readFile } from "node:fs/promises";
import { decodeHere } from "../decoding.js";
import { useLoader, type Loaded } from "../engine.js";
import { QUIET, useRuntime } from "../runtime.js";

export * from "../index.js";

useLoader(load);
useRuntime({ redirects: "manual", shortAccept: false, init: QUIET, decoding: () => decodeHere() });

/** Reads the module beside the script; a bundle that left it behind carries a copy. */
async function load(): Promise<Loaded> {
  try {
    return await readFile(new URL("../../wasm/oci_fetcher_bg.wasm", import.meta.url));
  } catch {
    return (await import("./embedded.js")).embeddedModule();
  }
}
