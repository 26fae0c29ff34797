import type { BlobCache, CachedBlob } from "../cache.js";
import { streamOf } from "../stream.js";

/**
 * Keeps blobs in memory, as long as the page or process lives.
 *
 * ```js
 * const client = new Client({ cache: memoryCache({ bytes: 64 << 20 }) });
 * ```
 */
export function memoryCache(options: { readonly bytes?: number } = {}): BlobCache {
  return new MemoryCache(options.bytes ?? BYTES);
}

interface Stored {
  chunks: Uint8Array[];
  length: number;
  complete: boolean;
}

/** The least recently opened blobs give way to new ones. */
class MemoryCache implements BlobCache {
  readonly #room: number;
  readonly #blobs = new Map<string, Stored>();
  readonly #remembered = new Map<string, string>();

  constructor(room: number) {
    this.#room = room;
  }

  async read(digest: string, limit: number): Promise<Uint8Array | undefined> {
    const stored = this.#blobs.get(digest);
    if (stored === undefined || !stored.complete || stored.length > limit) return undefined;
    const bytes = new Uint8Array(stored.length);
    let at = 0;
    for (const chunk of stored.chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  async keep(digest: string, bytes: Uint8Array): Promise<void> {
    this.#put(digest, { chunks: [bytes.slice()], length: bytes.length, complete: true });
  }

  async open(digest: string): Promise<CachedBlob> {
    // A partial blob belongs to whoever opened it; what it has is put back when it is closed.
    const stored = this.#blobs.get(digest) ?? { chunks: [], length: 0, complete: false };
    if (!stored.complete) this.#blobs.delete(digest);
    return new MemoryBlob(stored, {
      keep: (blob) => this.#put(digest, blob),
      discard: () => this.#blobs.delete(digest),
      room: this.#room,
    });
  }

  async discard(digest: string): Promise<void> {
    this.#blobs.delete(digest);
  }

  async recall(reference: string): Promise<string | undefined> {
    return this.#remembered.get(reference);
  }

  async remember(reference: string, digest: string): Promise<void> {
    this.#remembered.set(reference, digest);
  }

  #put(digest: string, blob: Stored): void {
    this.#blobs.delete(digest);
    this.#blobs.set(digest, blob);
    let held = 0;
    for (const { length } of this.#blobs.values()) held += length;
    for (const [oldest, { length }] of this.#blobs) {
      if (held <= this.#room) return;
      this.#blobs.delete(oldest);
      held -= length;
    }
  }
}

interface Place {
  keep(blob: Stored): void;
  discard(): void;
  readonly room: number;
}

class MemoryBlob implements CachedBlob {
  readonly complete: boolean;
  readonly length: number;
  readonly #place: Place;
  #stored: Stored;

  constructor(stored: Stored, place: Place) {
    this.complete = stored.complete;
    this.length = stored.length;
    this.#stored = stored;
    this.#place = place;
  }

  bytes(offset = 0): ReadableStream<Uint8Array> {
    return streamOf(from(this.#stored.chunks, offset));
  }

  async append(chunk: Uint8Array): Promise<void> {
    const { chunks, length } = this.#stored;
    // A blob that has no room anyway is not gathered first.
    if (length + chunk.length > this.#place.room) {
      this.#stored = { chunks: [], length: Number.POSITIVE_INFINITY, complete: false };
      return;
    }
    chunks.push(chunk.slice());
    this.#stored.length += chunk.length;
  }

  async commit(): Promise<void> {
    if (Number.isFinite(this.#stored.length)) this.#place.keep({ ...this.#stored, complete: true });
  }

  async discard(): Promise<void> {
    this.#place.discard();
  }

  async close(): Promise<void> {
    const { complete, length } = this.#stored;
    if (!complete && length > 0 && Number.isFinite(length)) this.#place.keep(this.#stored);
  }
}

async function* from(chunks: readonly Uint8Array[], offset: number): AsyncGenerator<Uint8Array, void, void> {
  let skip = offset;
  for (const chunk of [...chunks]) {
    if (skip < chunk.length) yield chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
  }
}

/** The default room: a few images of the size that pages and edge workers fetch. */
const BYTES = 256 << 20;
