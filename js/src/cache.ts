/**
 * Keeps blobs between pulls. Whatever it returns is verified again, so that it need not be trusted.
 *
 * `memoryCache()`, `opfsCache()`, `edgeCache()` and `folderCache()` implement it.
 */
export interface BlobCache {
  /** Returns a small blob whole; `undefined` where it is missing or longer than `limit`. */
  read(digest: string, limit: number): Promise<Uint8Array | undefined>;
  /** Keeps a small blob, which was verified. */
  keep(digest: string, bytes: Uint8Array): Promise<void>;
  /** Opens a large blob of `size` bytes to read what is stored of it, and to add what is not. */
  open(digest: string, size: number): Promise<CachedBlob>;
  /** Forgets a blob, whole or partial. */
  discard(digest: string): Promise<void>;
  /** Returns the digest that a reference had when it was last resolved. */
  recall(reference: string): Promise<string | undefined>;
  remember(reference: string, digest: string): Promise<void>;
}

/** One large blob in a cache. Exactly one of `commit`, `discard` and `close` ends its use. */
export interface CachedBlob {
  /** Tells whether it is here whole; then nothing is appended. */
  readonly complete: boolean;
  /** Bytes stored, from the blob's beginning. */
  readonly length: number;
  /** Streams what is stored, from `offset` on. Until it has ended nothing is appended. */
  bytes(offset?: number): ReadableStream<Uint8Array>;
  /** Adds to the end. The chunk is lent until the promise settles. */
  append(chunk: Uint8Array): Promise<void>;
  /** Gives a whole and verified blob its final name. */
  commit(): Promise<void>;
  /** Forgets what is stored. */
  discard(): Promise<void>;
  /** Ends its use; what was appended may stay for a later resume. */
  close(): Promise<void>;
}
