import { useLoader, type Loaded } from "../engine.js";
import { opfsImages } from "../opfs/images.js";
import { decodeInWorkers } from "../pool.js";
import { QUIET, useRuntime } from "../runtime.js";

export * from "../index.js";
export { opfsCache } from "../caches/opfs.js";
export { opfs, type OpfsOptions } from "../destinations/opfs.js";
export { opfsImages } from "../opfs/images.js";

useLoader(load);
useRuntime({
  redirects: "follow",
  shortAccept: true,
  init: QUIET,
  decoding: decodeInWorkers,
  images: () => opfsImages(),
});

/** Fetches the module beside the script; a bundle that left it behind carries a copy. */
async function load(): Promise<Loaded> {
  const found = await fetch(new URL("../../wasm/oci_fetcher_bg.wasm", import.meta.url)).catch(() => undefined);
  // Servers of one-page applications answer with the page where there is nothing.
  const isPage = found?.headers.get("content-type")?.startsWith("text/html") ?? false;
  if (found?.ok && !isPage) return found;
  return (await import("./embedded.js")).embeddedModule();
}
