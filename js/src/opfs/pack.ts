import { closed, storageError } from "../errors.js";
import type { Pack, PackPlace, PackWriter } from "../layer.js";
import { fileWriter, openFile, type FileWriter } from "./file.js";

type OpfsPlace = Extract<PackPlace, { kind: "opfs" }>;

/** Opens the writer of a pack that is a file of the origin private file system. */
export async function writePack(place: OpfsPlace): Promise<PackWriter> {
  return new FilePackWriter(place, await fileWriter(place.directory, place.name));
}

/** Opens a pack, which must be as long as it was when it was written. */
export async function readPack(directory: FileSystemDirectoryHandle, name: string, length: number): Promise<Pack> {
  const file = await openFile(directory, name);
  if (file === undefined || file.size !== length) {
    throw storageError("a layer's content is missing in the origin private file system", new Error(name));
  }
  return packOf(file);
}

/** Shows a file as a pack. */
export function packOf(file: File): Pack {
  return new FilePack(file);
}

/** Gathers small pieces: each write has a fixed price. */
class FilePackWriter implements PackWriter {
  readonly #place: OpfsPlace;
  readonly #file: FileWriter;
  readonly #block = new Uint8Array(BLOCK);
  #filled = 0;
  #length = 0;

  constructor(place: OpfsPlace, file: FileWriter) {
    this.#place = place;
    this.#file = file;
  }

  append(bytes: Uint8Array): void | Promise<void> {
    for (let rest = bytes; ; ) {
      const taken = rest.subarray(0, BLOCK - this.#filled);
      this.#block.set(taken, this.#filled);
      this.#filled += taken.length;
      rest = rest.subarray(taken.length);
      if (this.#filled < BLOCK) return;
      const written = this.#flush();
      if (written !== undefined) {
        // What was lent may be gone when the write is done.
        const kept = rest.slice();
        return written.then(() => this.append(kept));
      }
    }
  }

  async finish(): Promise<Pack> {
    await this.#flush();
    await this.#file.close();
    return readPack(this.#place.directory, this.#place.name, this.#length);
  }

  abort(): Promise<void> {
    return this.#file.abort();
  }

  #flush(): void | Promise<void> {
    const written = this.#file.write(this.#block.subarray(0, this.#filled));
    this.#length += this.#filled;
    this.#filled = 0;
    return written;
  }
}

/** Reads ahead: files that are neighbours in a tree are neighbours in a pack, and each read has a fixed price. */
class FilePack implements Pack {
  readonly length: number;
  #file: File | undefined;
  #window: Window | undefined;

  constructor(file: File) {
    this.#file = file;
    this.length = file.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const file = this.#file;
    if (file === undefined) throw closed("the layer's content");
    if (offset + length > this.length) throw new RangeError("a read beyond the layer's content");
    if (length >= WINDOW) return bytesOf(file, offset, length);
    let window = this.#window;
    if (window === undefined || offset < window.offset || offset + length > window.offset + WINDOW) {
      window = { offset, bytes: bytesOf(file, offset, Math.min(WINDOW, this.length - offset)) };
      this.#window = window;
    }
    const start = offset - window.offset;
    return (await window.bytes).slice(start, start + length);
  }

  close(): void {
    this.#file = undefined;
    this.#window = undefined;
  }
}

/** What was read last, or is being read. */
interface Window {
  readonly offset: number;
  readonly bytes: Promise<Uint8Array>;
}

async function bytesOf(file: File, offset: number, length: number): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await file.slice(offset, offset + length).arrayBuffer());
  } catch (error) {
    throw storageError(READING, error);
  }
  if (bytes.length !== length) throw storageError(READING, new Error("the file has become shorter"));
  return bytes;
}

const READING = "cannot read a layer's content from the origin private file system";

/** Bytes read at once. In Chromium, 8,000 files of 36 kB are read in 2 s so, and in 7 s one by one. */
const WINDOW = 256 << 10;

/** Where writing through a synchronous handle is as fast as it gets. */
const BLOCK = 1 << 20;
