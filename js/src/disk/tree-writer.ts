import { linkSync, mkdirSync, symlinkSync } from "node:fs";
import type { MergedImage } from "../destination.js";
import { OciError, throwIfAborted } from "../errors.js";
import type { Pack } from "../layer.js";
import { FilePack } from "../packs/file.js";
import { pause } from "../pause.js";
import type { Entry } from "../record.js";
import type { Extent, MergedTree } from "../tree.js";
import { codeOf, diskError } from "./failure.js";
import { DiskFile } from "./file.js";
import { Applier } from "./metadata.js";
import { below, onDiskOf, shown, type DiskPath } from "./path.js";

/**
 * Writes a merged tree into an empty directory that only we can look into.
 *
 * Every path consists of directories that were made here, since the tree has resolved all links, and what
 * is made is never something that stood there. Directories stay closed to others until everything in them
 * was made; their own attributes come last, from the innermost outwards, and the root's when its caller
 * asks for them.
 */
export class TreeWriter {
  readonly #root: string;
  readonly #tree: MergedTree;
  readonly #packs: readonly Pack[];
  readonly #applier = new Applier();
  /** Paths at which nothing stands, so that nothing can be linked to them. */
  readonly #leftOut = new Set<string>();
  #rootEntry: Entry | undefined;

  constructor(root: string, { tree, layers }: Pick<MergedImage, "tree" | "layers">) {
    this.#root = root;
    this.#tree = tree;
    this.#packs = layers.map(({ layer }) => layer.pack);
  }

  /** Writes everything but the root's attributes. */
  async write(signal: AbortSignal | undefined): Promise<void> {
    const directories: Entry[] = [];
    for (const entry of this.#tree.walk()) {
      if (entry.kind === "directory") directories.push(entry);
      const writing = this.#entry(entry);
      if (writing !== undefined) await writing;
      await this.#turn(signal);
    }
    for (const entry of directories.reverse()) {
      if (entry.path === "") this.#rootEntry = entry;
      else this.#applier.directory(entry, below(this.#root, entry.path));
      await this.#turn(signal);
    }
  }

  /** Gives the root, wherever it is now, its attributes. */
  finish(root: string): Applier {
    if (this.#rootEntry !== undefined) this.#applier.directory(this.#rootEntry, root);
    return this.#applier;
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    const pausing = pause();
    if (pausing === undefined) return;
    await pausing;
    throwIfAborted(signal);
  }

  /** Makes one entry; only large files take their time. */
  #entry(entry: Entry): Promise<void> | undefined {
    const path = below(this.#root, entry.path);
    if (entry.hardLinkTo !== "") return void this.#hardLink(entry, path);
    switch (entry.kind) {
      case "directory":
        if (entry.path !== "") made("create directory", path, () => mkdirSync(path, { mode: 0o700 }));
        return undefined;
      case "file":
        return this.#file(entry, path);
      case "symlink":
        made("create symbolic link", path, () => symlinkSync(onDiskOf(entry.linkTarget), path));
        return void this.#applier.symlink(entry, path);
      case "fifo":
        return void this.#leaveOut(entry, "fifo");
      default:
        return void this.#leaveOut(entry, "device");
    }
  }

  #hardLink(entry: Entry, path: DiskPath): void {
    if (this.#leftOut.has(entry.hardLinkTo)) return this.#leaveOut(entry, "hard-link");
    made("create hard link", path, () => linkSync(below(this.#root, entry.hardLinkTo), path));
  }

  #leaveOut(entry: Entry, what: string): void {
    this.#leftOut.add(entry.path);
    this.#applier.skip(entry, what, "not-supported");
  }

  #file(entry: Entry, path: DiskPath): Promise<void> | undefined {
    const file = made("create file", path, () => DiskFile.create(path));
    const finish = (): void => this.#applier.file(entry, path, file.descriptor);
    try {
      const extents = this.#tree.extents(entry.node);
      const end = extents.at(-1);
      if (entry.size > (end === undefined ? 0 : end.offset + end.length)) file.truncate(entry.size);
      if (extents.every((extent) => this.#isSmall(extent))) {
        for (const extent of extents) this.#copyNow(extent, file);
        finish();
        file.close();
        return undefined;
      }
      return this.#copy(extents, file)
        .then(finish)
        .catch((error: unknown) => {
          throw diskError("write", path, error);
        })
        .finally(() => file.close());
    } catch (error) {
      file.close();
      throw diskError("write", path, error);
    }
  }

  #isSmall({ layer, length }: Extent): boolean {
    return length <= SMALL && this.#packs[layer] instanceof FilePack;
  }

  #copyNow({ offset, layer, position, length }: Extent, file: DiskFile): void {
    const bytes = BUFFER.subarray(0, length);
    (this.#packs[layer] as FilePack).readSync(bytes, position);
    file.writeSync(bytes, offset);
  }

  async #copy(extents: readonly Extent[], file: DiskFile): Promise<void> {
    for (const { offset, layer, position, length } of extents) {
      const pack = this.#packs[layer];
      if (pack === undefined) throw new RangeError("a layer without a pack");
      for (let done = 0; done < length; ) {
        const piece = await pack.read(position + done, Math.min(PIECE, length - done));
        await file.write(piece, offset + done);
        done += piece.length;
      }
    }
  }
}

/** Makes something new; what stands there already can only be another name of the image. */
function made<T>(operation: string, path: DiskPath, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw diskError(operation, path, error);
    const message = `cannot ${operation} ${shown(path)}: another name of the image means the same file here`;
    throw new OciError("name-collision", message, {
      errorClass: "refused",
      advice: "choose a destination on a file system that tells names apart by case and bytes",
      cause: error,
    });
  }
}

/** Up to here a file is copied without waiting: a promise costs more than the copy. */
const SMALL = 256 << 10;
const BUFFER = new Uint8Array(SMALL);

/** Bytes of a large file that are copied at once. */
const PIECE = 1 << 20;
