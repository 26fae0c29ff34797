import type { Descriptor, Limits } from "./types.js";

/**
 * Where an image comes from, other than a registry: a layout on a static host, an archive in a
 * `Blob`. Everything that it returns is verified as what a registry serves.
 */
export interface Source {
  /** What messages and results call it. */
  readonly name: string;
  /** Finds the image; fails with class `not-found` where there is none. */
  find(options: SourceOptions): Promise<SourceImage>;
}

/** What a source may use. */
export interface SourceOptions {
  readonly fetch: typeof fetch;
  readonly limits: Limits;
  readonly signal: AbortSignal | undefined;
}

/** An image in a source. */
export interface SourceImage {
  /** Its manifest or index. */
  readonly top: Descriptor;
  readonly warnings: readonly string[];
  /** Returns a small blob whole; `undefined` where it is missing or longer than `limit`. */
  read(digest: string, limit: number): Promise<Uint8Array | undefined>;
  /** Streams a large blob from `offset` on; `undefined` where it is missing. */
  stream(descriptor: Descriptor, offset: number): Promise<ReadableStream<Uint8Array> | undefined>;
  close(): void;
}
