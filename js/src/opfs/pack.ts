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

class FilePack implements Pack {
  readonly length: number;
  #file: File | undefined;

  constructor(file: File) {
    this.#file = file;
    this.length = file.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#file === undefined) throw closed("the layer's content");
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(await this.#file.slice(offset, offset + length).arrayBuffer());
    } catch (error) {
      throw storageError("cannot read a layer's content from the origin private file system", error);
    }
    if (bytes.length !== length) throw new RangeError("a read beyond the layer's content");
    return bytes;
  }

  close(): void {
    this.#file = undefined;
  }
}

/** Where writing through a synchronous handle is as fast as it gets. */
const BLOCK = 1 << 20;
