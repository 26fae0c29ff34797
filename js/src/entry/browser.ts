import { useLoader } from "../engine.js";
import { opfsImages } from "../opfs/images.js";
import { decodeInWorkers } from "../pool.js";
import { QUIET, useRuntime } from "../runtime.js";

export * from "../index.js";
export { opfsCache } from "../caches/opfs.js";
export { opfs, type OpfsOptions } from "../destinations/opfs.js";
export { opfsImages } from "../opfs/images.js";

useLoader(() => fetch(new URL("../../wasm/oci_fetcher_bg.wasm", import.meta.url)));
useRuntime({
  redirects: "follow",
  shortAccept: true,
  init: QUIET,
  decoding: decodeInWorkers,
  images: () => opfsImages(),
});
