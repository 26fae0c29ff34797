import { decodeHere } from "../decoding.js";
import { useLoader, type Loaded } from "../engine.js";
import { QUIET, useRuntime } from "../runtime.js";

export * from "../index.js";

/**
 * Gives the WebAssembly module, which `oci-fetcher/slim` does not look for itself.
 *
 * ```js
 * import module from "oci-fetcher/oci_fetcher.wasm";
 * import { Client, useModule } from "oci-fetcher/slim";
 * useModule(module);
 * ```
 */
export function useModule(module: Loaded | (() => Loaded | Promise<Loaded>)): void {
  useLoader(typeof module === "function" ? (module as () => Loaded | Promise<Loaded>) : () => module);
}

// A page cannot look at redirects; a Worker at the edge refuses what it does not implement.
const isPage = typeof document !== "undefined" || typeof (globalThis as { importScripts?: unknown }).importScripts === "function";
const isEdge = globalThis.navigator?.userAgent === "Cloudflare-Workers";
useRuntime({
  redirects: isPage ? "follow" : "manual",
  shortAccept: isPage,
  init: isEdge ? {} : QUIET,
  decoding: () => decodeHere(),
});
