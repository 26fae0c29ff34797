import { unlinkSync } from "node:fs";
import { diskError } from "../disk/failure.js";
import { DiskFile } from "../disk/file.js";
import { closed } from "../errors.js";
import type { Pack, PackPlace, PackWriter } from "../layer.js";
import { usePacks } from "../pack.js";

/** Lets layers be decoded into files. */
export function useFilePacks(): void {
  usePacks("file", async ({ path }) => new FilePackWriter(path));
}

class FilePackWriter implements PackWriter {
  readonly #path: string;
  readonly #file: DiskFile;
  #length = 0;

  constructor(path: Extract<PackPlace, { kind: "file" }>["path"]) {
    this.#path = path;
    try {
      this.#file = DiskFile.create(path);
    } catch (error) {
      throw diskError("create file", path, error);
    }
  }

  async append(bytes: Uint8Array): Promise<void> {
    const position = this.#length;
    this.#length += bytes.length;
    try {
      await this.#file.write(bytes, position);
    } catch (error) {
      throw diskError("write", this.#path, error);
    }
  }

  async finish(): Promise<Pack> {
    return new FilePack(this.#path, this.#file, this.#length);
  }

  async abort(): Promise<void> {
    this.#file.close();
    unlinkSync(this.#path);
  }
}

/** A pack in a file. */
export class FilePack implements Pack {
  readonly length: number;
  readonly #path: string;
  #file: DiskFile | undefined;

  constructor(path: string, file: DiskFile, length: number) {
    this.#path = path;
    this.#file = file;
    this.length = length;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    try {
      return await this.#open().readExactly(offset, length);
    } catch (error) {
      throw diskError("read", this.#path, error);
    }
  }

  /** Fills `bytes` and waits for it: for small files a promise costs more than the read. */
  readSync(bytes: Uint8Array, offset: number): void {
    try {
      this.#open().readSync(bytes, offset);
    } catch (error) {
      throw diskError("read", this.#path, error);
    }
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #open(): DiskFile {
    if (this.#file === undefined) throw closed("the layer's content");
    return this.#file;
  }
}
