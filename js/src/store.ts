import type { BlobCache, CachedBlob } from "./cache.js";
import { storageError } from "./errors.js";
import type { SourceImage } from "./source.js";
import type { Descriptor } from "./types.js";

/**
 * What one operation reads blobs from before it asks a registry, and keeps them in: a cache, or a
 * source that holds everything. Small blobs stay in memory while the operation lasts.
 */
export class Store {
  readonly #cache: BlobCache | undefined;
  readonly #source: SourceImage | undefined;
  readonly #small = new Map<string, Uint8Array>();

  constructor(parts: { readonly cache?: BlobCache | undefined; readonly source?: SourceImage | undefined }) {
    this.#cache = parts.source === undefined ? parts.cache : undefined;
    this.#source = parts.source;
  }

  async read(digest: string, limit: number): Promise<Uint8Array | undefined> {
    const small = this.#small.get(digest);
    if (small !== undefined && small.length <= limit) return small;
    return this.#guarded("cannot read a stored blob", (cache) => cache.read(digest, limit), (source) =>
      source.read(digest, limit),
    );
  }

  async keep(digest: string, bytes: Uint8Array): Promise<void> {
    this.#small.set(digest, bytes);
    await this.#guarded("cannot store a blob", (cache) => cache.keep(digest, bytes));
  }

  async discard(digest: string): Promise<void> {
    this.#small.delete(digest);
    await this.#guarded("cannot remove a stored blob", (cache) => cache.discard(digest));
  }

  async recall(reference: string): Promise<string | undefined> {
    return this.#guarded("cannot read what a tag was", (cache) => cache.recall(reference));
  }

  async remember(reference: string, digest: string): Promise<void> {
    await this.#guarded("cannot store what a tag is", (cache) => cache.remember(reference, digest));
  }

  /** Opens a large blob; `undefined` where it is neither stored nor can be. */
  async open(descriptor: Descriptor): Promise<CachedBlob | undefined> {
    return this.#guarded(
      "cannot open a stored blob",
      (cache) => cache.open(descriptor.digest, descriptor.size),
      (source) => openSource(source, descriptor),
    );
  }

  async #guarded<T>(
    what: string,
    cached: (cache: BlobCache) => Promise<T>,
    sourced?: (source: SourceImage) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    if (this.#source !== undefined) return sourced?.(this.#source);
    if (this.#cache === undefined) return undefined;
    try {
      return await cached(this.#cache);
    } catch (error) {
      throw storageError(what, error);
    }
  }
}

/** Shows a source's blob as one that is stored whole. */
async function openSource(source: SourceImage, descriptor: Descriptor): Promise<CachedBlob | undefined> {
  const stream = await source.stream(descriptor, 0);
  if (stream === undefined) return undefined;
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    complete: true,
    length: descriptor.size,
    bytes: () => stream,
    append: nothing,
    commit: nothing,
    discard: nothing,
    close: nothing,
  };
}
