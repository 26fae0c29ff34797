import type { BlobCache, CachedBlob } from "../cache.js";
import { OciError, storageError } from "../errors.js";
import { fileName } from "../opfs/file-name.js";
import { openFile, removeFile, writeFile } from "../opfs/file.js";
import { Locks, type Release } from "../opfs/locks.js";
import { scopeOf, storeDirectory } from "../opfs/place.js";
import { chunksOf, streamOf } from "../stream.js";

// A blob is a directory of pieces, `0`, `1` and so on, and a marker when it is whole:
//
//     sha256-<digest>/0    sha256-<digest>/1    sha256-<digest>/whole
//
// A stream into a file shows nothing before it is closed, and closing one to open it again copies it. With
// pieces, a page that is closed loses no more than the last one, and nothing has to be joined.

/**
 * Keeps blobs in the origin private file system, also parts of blobs: a download that was cut off goes on
 * where it stopped.
 *
 * An image in `opfs()` keeps its layers by itself; this cache is for what is fetched again and again, and
 * for large layers over slow connections.
 *
 * ```js
 * const client = new Client({ cache: opfsCache() });
 * ```
 */
export function opfsCache(directory?: FileSystemDirectoryHandle): BlobCache {
  let opened: Promise<OpfsCache> | undefined;
  const cache = (): Promise<OpfsCache> => (opened ??= OpfsCache.open(directory));
  return {
    read: async (digest, limit) => (await cache()).read(digest, limit),
    keep: async (digest, bytes) => (await cache()).keep(digest, bytes),
    open: async (digest, size) => (await cache()).open(digest, size),
    discard: async (digest) => (await cache()).discard(digest),
    recall: async (reference) => (await cache()).recall(reference),
    remember: async (reference, digest) => (await cache()).remember(reference, digest),
  };
}

class OpfsCache implements BlobCache {
  readonly #blobs: FileSystemDirectoryHandle;
  readonly #references: FileSystemDirectoryHandle;
  readonly #locks: Locks;

  static async open(directory?: FileSystemDirectoryHandle): Promise<OpfsCache> {
    try {
      const root = await (await storeDirectory(directory)).getDirectoryHandle("cache", { create: true });
      const blobs = await root.getDirectoryHandle("blobs", { create: true });
      const references = await root.getDirectoryHandle("references", { create: true });
      return new OpfsCache(blobs, references, new Locks(await scopeOf(root)));
    } catch (error) {
      throw storageError("cannot open the cache in the origin private file system", error);
    }
  }

  private constructor(blobs: FileSystemDirectoryHandle, references: FileSystemDirectoryHandle, locks: Locks) {
    this.#blobs = blobs;
    this.#references = references;
    this.#locks = locks;
  }

  async read(digest: string, limit: number): Promise<Uint8Array | undefined> {
    const directory = await this.#find(digest);
    if (directory === undefined || (await openFile(directory, WHOLE)) === undefined) return undefined;
    const pieces = await piecesOf(directory);
    if (lengthOf(pieces) > limit) return undefined;
    return new Uint8Array(await new Blob(pieces).arrayBuffer());
  }

  async keep(digest: string, bytes: Uint8Array): Promise<void> {
    const blob = await this.open(digest, bytes.length);
    if (blob.complete) return blob.close();
    // Pieces of an earlier attempt are not worth checking.
    if (blob.length > 0) {
      await blob.discard();
      return this.keep(digest, bytes);
    }
    await blob.append(bytes);
    await blob.commit();
  }

  async open(digest: string, size: number): Promise<CachedBlob> {
    const own = await this.#locks.tryTake(keyOf(digest));
    // Another tab is fetching it: this one fetches for itself, and keeps nothing.
    if (own === undefined) return new OpfsBlob({ pieces: [], whole: false, directory: undefined });
    try {
      const directory = await this.#blobs.getDirectoryHandle(keyOf(digest), { create: true });
      const pieces = await piecesOf(directory);
      const whole = lengthOf(pieces) === size && (await openFile(directory, WHOLE)) !== undefined;
      return new OpfsBlob({ pieces, whole, directory, parent: this.#blobs, name: keyOf(digest), release: own });
    } catch (error) {
      await own();
      throw storageError("cannot open a blob in the origin private file system", error);
    }
  }

  async discard(digest: string): Promise<void> {
    await removeFile(this.#blobs, keyOf(digest));
  }

  async recall(reference: string): Promise<string | undefined> {
    return (await openFile(this.#references, fileName(reference)))?.text();
  }

  async remember(reference: string, digest: string): Promise<void> {
    await unlessFull(() => writeFile(this.#references, fileName(reference), digest));
  }

  async #find(digest: string): Promise<FileSystemDirectoryHandle | undefined> {
    try {
      return await this.#blobs.getDirectoryHandle(keyOf(digest));
    } catch {
      return undefined;
    }
  }
}

/** What a blob is made from; without a directory nothing is kept. */
interface OpfsBlobParts {
  readonly pieces: File[];
  readonly whole: boolean;
  readonly directory: FileSystemDirectoryHandle | undefined;
  readonly parent?: FileSystemDirectoryHandle;
  readonly name?: string;
  readonly release?: Release;
}

class OpfsBlob implements CachedBlob {
  readonly complete: boolean;
  readonly length: number;
  readonly #parts: OpfsBlobParts;
  /** Undefined when there is nothing to keep, or no room. */
  #directory: FileSystemDirectoryHandle | undefined;
  #next: number;
  #piece = new Uint8Array(0);
  #filled = 0;

  constructor(parts: OpfsBlobParts) {
    this.#parts = parts;
    this.#directory = parts.directory;
    this.#next = parts.pieces.length;
    this.complete = parts.whole;
    this.length = lengthOf(parts.pieces);
  }

  bytes(offset = 0): ReadableStream<Uint8Array> {
    return streamOf(chunksOf(new Blob(this.#parts.pieces).slice(offset).stream()));
  }

  async append(chunk: Uint8Array): Promise<void> {
    if (this.#directory === undefined) return;
    if (this.#piece.length === 0) this.#piece = new Uint8Array(PIECE);
    for (let rest = chunk; rest.length > 0; ) {
      const taken = rest.subarray(0, PIECE - this.#filled);
      this.#piece.set(taken, this.#filled);
      this.#filled += taken.length;
      rest = rest.subarray(taken.length);
      if (this.#filled === PIECE) await this.#flush();
    }
  }

  async commit(): Promise<void> {
    await this.#flush();
    const directory = this.#directory;
    if (directory !== undefined) await unlessFull(() => writeFile(directory, WHOLE, ""));
    await this.#end();
  }

  async discard(): Promise<void> {
    await this.#remove();
    await this.#end();
  }

  async close(): Promise<void> {
    if (!this.complete) await this.#flush();
    await this.#end();
  }

  async #flush(): Promise<void> {
    const directory = this.#directory;
    if (directory === undefined || this.#filled === 0) return;
    const piece = this.#piece.subarray(0, this.#filled);
    this.#filled = 0;
    const kept = await unlessFull(() => writeFile(directory, String(this.#next), piece));
    this.#next += 1;
    if (!kept) await this.#remove();
  }

  async #remove(): Promise<void> {
    const { parent, name } = this.#parts;
    this.#directory = undefined;
    if (parent !== undefined && name !== undefined) await removeFile(parent, name);
  }

  async #end(): Promise<void> {
    this.#directory = undefined;
    this.#piece = new Uint8Array(0);
    await this.#parts.release?.();
  }
}

/** Returns a blob's pieces, as far as they follow each other. */
async function piecesOf(directory: FileSystemDirectoryHandle): Promise<File[]> {
  const pieces: File[] = [];
  for (;;) {
    const piece = await openFile(directory, String(pieces.length));
    // A file that was made but never written is empty.
    if (piece === undefined || piece.size === 0) return pieces;
    pieces.push(piece);
  }
}

function lengthOf(pieces: readonly File[]): number {
  return pieces.reduce((sum, { size }) => sum + size, 0);
}

/** Does without what there is no room for: a cache that is full fails no pull. */
async function unlessFull(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof OciError && error.code === "quota-exceeded") return false;
    throw error;
  }
}

function keyOf(digest: string): string {
  return fileName(digest.replace(":", "-"));
}

const WHOLE = "whole";
/** What is lost at the most when a page is closed, against the price of one more file. */
const PIECE = 4 << 20;
