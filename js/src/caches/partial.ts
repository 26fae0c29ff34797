import { renameSync, unlinkSync } from "node:fs";
import type { CachedBlob } from "../cache.js";
import { codeOf } from "../disk/failure.js";
import type { DiskFile } from "../disk/file.js";
import type { LockFile } from "../disk/lock.js";
import { OciError } from "../errors.js";
import { streamOf } from "../stream.js";

/** A whole blob of a folder. */
export class StoredBlob implements CachedBlob {
  readonly complete = true;
  readonly length: number;
  readonly #file: DiskFile;
  readonly #remove: () => void;

  constructor(file: DiskFile, remove: () => void) {
    this.#file = file;
    this.#remove = remove;
    this.length = file.length;
  }

  bytes(offset = 0): ReadableStream<Uint8Array> {
    return streamOf(this.#file.pieces(offset, this.length - offset));
  }

  async append(): Promise<void> {}

  async commit(): Promise<void> {
    this.#file.close();
  }

  async discard(): Promise<void> {
    this.#file.close();
    this.#remove();
  }

  async close(): Promise<void> {
    this.#file.close();
  }
}

/** What a {@link PartialBlob} is made of. */
export interface PartialParts {
  readonly file: DiskFile;
  readonly path: string;
  readonly lock: LockFile;
  /** Whether it has the blob's own name, so that a later run can go on. */
  readonly name: "shared" | "private";
  /** Makes the folder for the blob, and returns where it will lie. */
  readonly target: () => string;
}

/** The beginning of a blob, which this owner alone appends to. */
export class PartialBlob implements CachedBlob {
  readonly complete = false;
  readonly #parts: PartialParts;
  #length: number;
  #ended = false;

  constructor(parts: PartialParts) {
    this.#parts = parts;
    this.#length = parts.file.length;
  }

  get length(): number {
    return this.#length;
  }

  bytes(offset = 0): ReadableStream<Uint8Array> {
    return streamOf(this.#parts.file.pieces(offset, this.#length - offset));
  }

  async append(chunk: Uint8Array): Promise<void> {
    try {
      await this.#parts.file.write(chunk, this.#length);
    } catch (error) {
      throw cacheError("write", this.#parts.path, error);
    }
    this.#length += chunk.length;
  }

  async commit(): Promise<void> {
    const { file, path, target } = this.#parts;
    try {
      const blob = target();
      await file.sync("content");
      renameSync(path, blob);
    } catch (error) {
      throw cacheError("write", path, error);
    } finally {
      this.#end();
    }
  }

  async discard(): Promise<void> {
    if (!this.#ended) remove(this.#parts.path);
    this.#end();
  }

  async close(): Promise<void> {
    // Nothing of use to a later run.
    if (!this.#ended && (this.#parts.name === "private" || this.#length === 0)) remove(this.#parts.path);
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#parts.file.close();
    this.#parts.lock.release();
  }
}

/** Says what of the cache cannot be read or written. */
export function cacheError(operation: string, path: string, error: unknown): OciError {
  if (error instanceof OciError) return error;
  const isFull = codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT";
  return new OciError(isFull ? "disk-full" : "cache", `cannot ${operation} ${path}`, {
    errorClass: "local",
    advice: isFull ? "free space, or choose another folder" : "choose another folder, or use cache: false",
    cause: error,
  });
}

/** Removes a file, if it is there. */
export function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}
