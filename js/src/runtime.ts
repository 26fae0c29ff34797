import type { BlobCache } from "./cache.js";
import type { ImageStore } from "./destination.js";
import type { Decoding } from "./layer.js";
import type { Source } from "./source.js";
import type { LocalPlace } from "./sources/named.js";
import type { CredentialCallback } from "./types.js";

/** What differs between runtimes; each entry file says it once. */
export interface Runtime {
  /**
   * Whether `redirect: "manual"` shows status and `Location`, so that the core decides on redirects.
   * Where it does not, as in browsers, `fetch` follows them by itself.
   */
  readonly redirects: "manual" | "follow";
  /** Whether only headers that need no CORS preflight should be sent where there is a choice. */
  readonly shortAccept: boolean;
  /** What every request says beside its headers; some runtimes refuse what they do not implement. */
  readonly init: RequestInit;
  /** Makes what decodes layers. */
  decoding(concurrency: number): Decoding;
  /** The cache of a client that names none; without it, blobs are not kept between pulls. */
  cache?(): BlobCache;
  /** Where `client.images()` looks. */
  images?(): ImageStore;
  /** Credentials of a client that names none. */
  credentials?: CredentialCallback;
  /** Reads layouts and archives on this machine. */
  local?(place: LocalPlace): Source;
}

/** Sets this runtime's parts. */
export function useRuntime(chosen: Runtime): void {
  current = chosen;
}

/** Returns this runtime's parts. */
export function runtime(): Runtime {
  return current;
}

let current: Runtime;

/** Nothing but the request itself is told, and nothing is answered from another store. */
export const QUIET: RequestInit = { credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer" };
