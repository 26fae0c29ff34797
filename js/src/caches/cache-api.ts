import type { BlobCache, CachedBlob } from "../cache.js";
import { digestOfBytes } from "../digest.js";

/** Where a {@link edgeCache} keeps its blobs. */
export interface EdgeCacheOptions {
  /** A cache, instead of the one that the runtime has by default or that is called `oci-fetcher`. */
  readonly cache?: Cache;
  /** What the addresses of blobs begin with; nothing is ever asked there. */
  readonly prefix?: string;
  /** How long a tag is remembered for use offline, in seconds; a day by default. */
  readonly remembered?: number;
}

/**
 * Keeps whole blobs in the runtime's Cache interface, as edge workers and browsers have it. What it gives
 * up at any time is fetched again.
 *
 * ```js
 * const client = new Client({ cache: edgeCache() });
 * ```
 */
export function edgeCache(options: EdgeCacheOptions = {}): BlobCache {
  return new EdgeCache(options);
}

class EdgeCache implements BlobCache {
  readonly #prefix: string;
  readonly #remembered: number;
  #cache: Cache | undefined;

  constructor({ cache, prefix = PREFIX, remembered = DAY }: EdgeCacheOptions) {
    this.#cache = cache;
    this.#prefix = prefix.endsWith("/") ? prefix : `${prefix}/`;
    this.#remembered = remembered;
  }

  async read(digest: string, limit: number): Promise<Uint8Array | undefined> {
    const found = await (await this.#open()).match(this.#address(digest));
    if (found === undefined || found.body === null) return undefined;
    if (Number(found.headers.get("content-length") ?? 0) > limit) {
      await found.body.cancel();
      return undefined;
    }
    const bytes = new Uint8Array(await found.arrayBuffer());
    if (bytes.length > limit) return undefined;
    if (!digest.startsWith("sha256:") || (await digestOfBytes(bytes)) === digest) return bytes;
    await this.discard(digest);
    return undefined;
  }

  async keep(digest: string, bytes: Uint8Array): Promise<void> {
    await this.#put(this.#address(digest), new Uint8Array(bytes), FOR_EVER);
  }

  async open(digest: string, size: number): Promise<CachedBlob> {
    const cache = await this.#open();
    const address = this.#address(digest);
    const found = await cache.match(address);
    if (found?.body !== null && found?.body !== undefined) return new FoundBlob(found.body, size, () => this.discard(digest));
    const { readable, writable } = sized(size);
    const response = new Response(readable, { headers: headers(FOR_EVER, size) });
    return new StreamedBlob(writable.getWriter(), cache.put(address, response));
  }

  async discard(digest: string): Promise<void> {
    await (await this.#open()).delete(this.#address(digest));
  }

  async recall(reference: string): Promise<string | undefined> {
    return (await (await this.#open()).match(this.#reference(reference)))?.text();
  }

  async remember(reference: string, digest: string): Promise<void> {
    await this.#put(this.#reference(reference), new TextEncoder().encode(digest), this.#remembered);
  }

  async #put(address: string, bytes: Uint8Array<ArrayBuffer>, seconds: number): Promise<void> {
    const response = new Response(bytes, { headers: headers(seconds, bytes.length) });
    // A cache that has no room fails no pull.
    await (await this.#open()).put(address, response).catch(() => undefined);
  }

  async #open(): Promise<Cache> {
    const { caches } = globalThis as { readonly caches: CacheStorage & { readonly default?: Cache } };
    this.#cache ??= caches.default ?? (await caches.open(NAME));
    return this.#cache;
  }

  #address(digest: string): string {
    return `${this.#prefix}blobs/${digest.replace(":", "/")}`;
  }

  #reference(reference: string): string {
    return `${this.#prefix}references/${encodeURIComponent(reference)}`;
  }
}

/** A blob that is here; it can be read once from its beginning. */
class FoundBlob implements CachedBlob {
  readonly complete = true;
  readonly length: number;
  readonly #body: ReadableStream<Uint8Array>;
  readonly #forget: () => Promise<void>;

  constructor(body: ReadableStream<Uint8Array>, size: number, forget: () => Promise<void>) {
    this.#body = body;
    this.length = size;
    this.#forget = forget;
  }

  bytes(offset = 0): ReadableStream<Uint8Array> {
    return offset === 0 ? this.#body : this.#body.pipeThrough(skipping(offset));
  }

  async append(): Promise<void> {}

  async commit(): Promise<void> {}

  async discard(): Promise<void> {
    await this.close();
    await this.#forget();
  }

  async close(): Promise<void> {
    if (!this.#body.locked) await this.#body.cancel();
  }
}

/** A blob that comes: the cache takes it while it is fetched, and has it only when it is whole. */
class StreamedBlob implements CachedBlob {
  readonly complete = false;
  readonly length = 0;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #put: Promise<boolean>;
  #lost = false;

  constructor(writer: WritableStreamDefaultWriter<Uint8Array>, put: Promise<void>) {
    this.#writer = writer;
    writer.closed.catch(() => undefined);
    this.#put = put.then(
      () => true,
      () => {
        // Nobody reads any more, so that a write would wait for ever.
        this.#lost = true;
        writer.abort().catch(() => undefined);
        return false;
      },
    );
  }

  bytes(): ReadableStream<Uint8Array> {
    return new Response(null).body ?? new ReadableStream({ start: (controller) => controller.close() });
  }

  async append(chunk: Uint8Array): Promise<void> {
    if (this.#lost) return;
    // The chunk is lent; what the stream holds is its own.
    const written = this.#writer.write(chunk.slice());
    await Promise.race([written.catch(() => undefined), this.#put]);
  }

  async commit(): Promise<void> {
    await this.#writer.close().catch(() => undefined);
    await this.#put;
  }

  async discard(): Promise<void> {
    await this.#writer.abort(new Error("the blob is not whole")).catch(() => undefined);
    await this.#put;
  }

  close(): Promise<void> {
    return this.discard();
  }
}

/** Some edge runtimes store only bodies whose length is known before. */
function sized(size: number): { readable: ReadableStream<Uint8Array>; writable: WritableStream<Uint8Array> } {
  const { FixedLengthStream } = globalThis as {
    readonly FixedLengthStream?: new (size: number) => TransformStream<Uint8Array, Uint8Array>;
  };
  return FixedLengthStream === undefined ? new TransformStream() : new FixedLengthStream(size);
}

function skipping(offset: number): TransformStream<Uint8Array, Uint8Array> {
  let skip = offset;
  return new TransformStream({
    transform(chunk, controller): void {
      const skipped = Math.min(skip, chunk.length);
      skip -= skipped;
      if (skipped < chunk.length) controller.enqueue(chunk.subarray(skipped));
    },
  });
}

function headers(seconds: number, length: number): Record<string, string> {
  return {
    "cache-control": `public, max-age=${seconds}`,
    "content-length": String(length),
    "content-type": "application/octet-stream",
  };
}

const NAME = "oci-fetcher";
const PREFIX = "https://oci-fetcher.invalid/";
/** What a digest names never changes. */
const FOR_EVER = 365 * 24 * 60 * 60;
const DAY = 24 * 60 * 60;
