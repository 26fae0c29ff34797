import {
  close,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  openSync,
  read,
  readSync,
  write,
  writeSync,
} from "node:fs";
import type { BigIntStats } from "node:fs";
import type { DiskPath } from "./path.js";

/** An open regular file, read and written by position. */
export class DiskFile {
  readonly descriptor: number;
  #closed = false;
  /** Calls that other threads carry out: the descriptor must not become another file's under them. */
  #pending = 0;

  private constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  /** Creates a file that only its owner may look into, where nothing stands. */
  static create(path: DiskPath): DiskFile {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW;
    return new DiskFile(openSync(path, flags, 0o600));
  }

  /** Opens a regular file, without waiting for a FIFO, and through a link only where the caller named it. */
  static open(path: DiskPath, access: "read" | "append" = "read", links: "refuse" | "follow" = "refuse"): DiskFile {
    const flags = access === "read" ? constants.O_RDONLY : constants.O_RDWR | constants.O_CREAT;
    const how = links === "refuse" ? NO_FOLLOW : (constants.O_NONBLOCK ?? 0);
    const file = new DiskFile(openSync(path, flags | how, 0o600));
    if (file.stat().isFile()) return file;
    file.close();
    throw Object.assign(new Error("not a regular file"), { code: "EINVAL" });
  }

  stat(): BigIntStats {
    return fstatSync(this.descriptor, { bigint: true });
  }

  get length(): number {
    return Number(this.stat().size);
  }

  /** Reads into all of `bytes` and waits for it; fails where the file ends before. */
  readSync(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) {
      const count = readSync(this.descriptor, bytes, done, bytes.length - done, position + done);
      if (count === 0) throw endedEarly();
      done += count;
    }
  }

  /** Returns at most `length` bytes from `position` on: fewer at the file's end. */
  async readAt(position: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const count = await this.#settled<number>((then) =>
        read(this.descriptor, bytes, done, length - done, position + done, then),
      );
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  }

  /** Returns exactly `length` bytes. */
  async readExactly(position: number, length: number): Promise<Uint8Array> {
    const bytes = await this.readAt(position, length);
    if (bytes.length < length) throw endedEarly();
    return bytes;
  }

  writeSync(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.descriptor, bytes, done, bytes.length - done, position + done);
    }
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      done += await this.#settled<number>((then) =>
        write(this.descriptor, bytes, done, bytes.length - done, position + done, then),
      );
    }
  }

  truncate(length: number): void {
    ftruncateSync(this.descriptor, length);
  }

  /** Waits until the content is on the device; with `all`, the metadata too. */
  sync(what: "content" | "all"): Promise<void> {
    return this.#settled((then) => (what === "all" ? fsync : fdatasync)(this.descriptor, then));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#pending === 0) closeSync(this.descriptor);
  }

  /** Yields `length` bytes from `position` on, in pieces. */
  async *pieces(position: number, length: number): AsyncGenerator<Uint8Array, void, void> {
    for (let done = 0; done < length; ) {
      const piece = await this.readExactly(position + done, Math.min(PIECE, length - done));
      yield piece;
      done += piece.length;
    }
  }

  async #settled<T>(call: (then: (error: Error | null, value?: T) => void) => void): Promise<T> {
    if (this.#closed) throw Object.assign(new Error("the file is closed"), { code: "EBADF" });
    this.#pending += 1;
    try {
      return await settled(call);
    } finally {
      this.#pending -= 1;
      if (this.#closed && this.#pending === 0) closeSync(this.descriptor);
    }
  }
}

/** Writes a directory's entries through to the device, where the system can. */
export async function syncDirectory(path: string): Promise<void> {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_DIRECTORY ?? 0));
  } catch {
    return;
  }
  try {
    await settled<void>((then) => fsync(descriptor, then));
  } catch {
    // Not every file system knows it; the rename itself has happened.
  } finally {
    await settled<void>((then) => close(descriptor, then));
  }
}

/** Opens for what a name is, without following a link; some systems lack the flags. */
export const NO_FOLLOW = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Bytes read at once: large against the cost of a call, small against a machine's memory. */
export const PIECE = 256 << 10;

function settled<T>(call: (then: (error: Error | null, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value as T)));
  });
}

function endedEarly(): Error {
  return Object.assign(new Error("the file ends early"), { code: "EIO" });
}
