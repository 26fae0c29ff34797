import { readFile } from "node:fs/promises";
import { folderCache } from "../caches/folder.js";
import { environment } from "../credentials/environment.js";
import { decodeHere } from "../decoding.js";
import { useLoader, type Loaded } from "../engine.js";
import { QUIET, useRuntime } from "../runtime.js";
import { localSource } from "../sources/local.js";

export * from "../index.js";
export { folderCache } from "../caches/folder.js";
export { environment, type EnvironmentOptions } from "../credentials/environment.js";
export { directory, type DirectoryOptions } from "../destinations/directory.js";
export { layout, type LayoutOptions } from "../destinations/layout.js";

useLoader(load);
useRuntime({
  redirects: "manual",
  shortAccept: false,
  init: QUIET,
  decoding: () => decodeHere(),
  cache: () => folderCache(),
  credentials: environment(),
  local: localSource,
});

/** Reads the module beside the script; a bundle that left it behind carries a copy. */
async function load(): Promise<Loaded> {
  try {
    return await readFile(new URL("../../wasm/oci_fetcher_bg.wasm", import.meta.url));
  } catch {
    return (await import("./embedded.js")).embeddedModule();
  }
}
