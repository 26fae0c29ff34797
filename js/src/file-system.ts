import { asyncDispose, dispose } from "./disposal.js";
import { OciError } from "./errors.js";
import type { Pack } from "./layer.js";
import { listingOf } from "./listing.js";
import type { Entry } from "./record.js";
import { streamOf } from "./stream.js";
import { tarOf } from "./tar.js";
import type { MergedTree } from "./tree.js";
import type { ImageFileSystem, Listing, ListingOptions } from "./types.js";

/** Reads a merged tree whose contents lie in its layers' packs. It owns both. */
export class PackFileSystem implements ImageFileSystem {
  readonly #tree: MergedTree;
  readonly #packs: readonly Pack[];

  constructor(tree: MergedTree, packs: readonly Pack[]) {
    this.#tree = tree;
    this.#packs = packs;
  }

  async stat(path: string): Promise<Entry | undefined> {
    return this.#tree.stat(path, true);
  }

  async lstat(path: string): Promise<Entry | undefined> {
    return this.#tree.stat(path, false);
  }

  async readdir(path: string): Promise<Entry[]> {
    const entries = this.#tree.readdir(path);
    if (entries !== undefined) return entries;
    if (this.#tree.stat(path, true) === undefined) throw missing(path);
    throw new OciError("not-a-directory", `${path} is not a directory`, { errorClass: "usage" });
  }

  async readlink(path: string): Promise<string> {
    const entry = this.#tree.stat(path, false);
    if (entry === undefined) throw missing(path);
    if (entry.kind !== "symlink") {
      throw new OciError("not-a-symlink", `${path} is not a symlink`, { errorClass: "usage" });
    }
    return entry.linkTarget;
  }

  async open(path: string): Promise<ReadableStream<Uint8Array>> {
    return streamOf(this.#content(this.#file(path)));
  }

  async read(path: string): Promise<Uint8Array> {
    const entry = this.#file(path);
    const bytes = new Uint8Array(entry.size);
    for (const { offset, layer, position, length } of this.#tree.extents(entry.node)) {
      bytes.set(await this.#pack(layer).read(position, length), offset);
    }
    return bytes;
  }

  async *walk(): AsyncIterableIterator<Entry> {
    yield* this.#tree.walk();
  }

  tar(): ReadableStream<Uint8Array> {
    return tarOf(this.#tree, this);
  }

  listing(options?: ListingOptions): Promise<Listing> {
    return listingOf(this, options);
  }

  close(): void {
    this.#tree.close();
    for (const pack of this.#packs) pack.close();
  }

  [dispose](): void {
    this.close();
  }

  async [asyncDispose](): Promise<void> {
    this.close();
  }

  #file(path: string): Entry {
    const entry = this.#tree.stat(path, true);
    if (entry === undefined) throw missing(path);
    if (entry.kind !== "file") throw new OciError("not-a-file", `${path} is not a regular file`, { errorClass: "usage" });
    return entry;
  }

  async *#content(entry: Entry): AsyncGenerator<Uint8Array, void, void> {
    let at = 0;
    for (const { offset, layer, position, length } of this.#tree.extents(entry.node)) {
      yield* zeros(offset - at);
      for (let done = 0; done < length; done += PIECE) {
        yield await this.#pack(layer).read(position + done, Math.min(PIECE, length - done));
      }
      at = offset + length;
    }
    yield* zeros(entry.size - at);
  }

  #pack(layer: number): Pack {
    const pack = this.#packs[layer];
    if (pack === undefined) throw new RangeError("a layer without a pack");
    return pack;
  }
}

function* zeros(length: number): Generator<Uint8Array, void, void> {
  for (let done = 0; done < length; done += PIECE) yield new Uint8Array(Math.min(PIECE, length - done));
}

function missing(path: string): OciError {
  return new OciError("path-not-found", `${path} is not in the image`, { errorClass: "not-found" });
}

/** Bytes of content that are read at once. */
const PIECE = 256 << 10;
