import { storageError } from "../errors.js";
import { removeFile } from "./file.js";
import { LayerStore } from "./layers.js";
import { IMAGES, Locks } from "./locks.js";
import { scopeOf, storeDirectory } from "./place.js";
import { Records, type ImageRecord } from "./record.js";

/** A directory that keeps images: their layers, their records, and trees with a file an entry. */
export class OpfsStore {
  readonly locks: Locks;
  readonly layers: LayerStore;
  readonly records: Records;
  readonly trees: FileSystemDirectoryHandle;

  /** Opens a store, and makes it where there is none; by default this package's own of the origin. */
  static async open(directory?: FileSystemDirectoryHandle): Promise<OpfsStore> {
    try {
      const root = await storeDirectory(directory);
      const within = (name: string): Promise<FileSystemDirectoryHandle> => root.getDirectoryHandle(name, { create: true });
      const [layers, images, trees] = [await within("layers"), await within("images"), await within("trees")];
      return new OpfsStore(new Locks(await scopeOf(root)), layers, images, trees);
    } catch (error) {
      throw storageError("cannot open the store in the origin private file system", error);
    }
  }

  private constructor(
    locks: Locks,
    layers: FileSystemDirectoryHandle,
    images: FileSystemDirectoryHandle,
    trees: FileSystemDirectoryHandle,
  ) {
    this.locks = locks;
    this.layers = new LayerStore(layers, locks);
    this.records = new Records(images);
    this.trees = trees;
  }

  /** Makes an image visible, in the place of one of the same name; then what only that one used goes. */
  async add(record: ImageRecord): Promise<void> {
    const replaced = await this.locks.within(IMAGES, "exclusive", async () => {
      const before = await this.records.read(record.name);
      await this.records.write(record);
      return before;
    });
    if (replaced !== undefined) await this.sweep({ dropped: [replaced] });
  }

  /** Makes an image invisible, then removes what only that one used; `false` where there is none. */
  async remove(name: string): Promise<boolean> {
    const removed = await this.locks.within(IMAGES, "exclusive", async () => {
      const record = await this.records.read(name);
      if (record !== undefined) await this.records.remove(name);
      return record;
    });
    if (removed === undefined) return false;
    await this.sweep({ dropped: [removed] });
    return true;
  }

  /**
   * Removes what no image uses and nobody holds: layers of the images in `dropped`, what was cut off
   * before it was verified, and layers that wait for a pull to be tried again, if they are old or
   * `orphans` is `all`.
   */
  async sweep(options: { readonly dropped?: readonly ImageRecord[]; readonly orphans?: "old" | "all" }): Promise<void> {
    // No image becomes visible meanwhile. Layers that one is going to use are held by its pull.
    await this.locks.within(IMAGES, "exclusive", async () => {
      const records = await this.records.all();
      // A tree has all that it needs; its pull may have held layers nevertheless.
      const used = new Set(records.filter(({ tree }) => tree === undefined).flatMap(diffIdsOf));
      const dropped = new Set((options.dropped ?? []).flatMap(diffIdsOf));
      await this.layers.sweep(used, dropped, options.orphans ?? "old");
      await this.#sweepTrees(new Set(records.flatMap(({ tree }) => tree ?? [])));
    });
  }

  async #sweepTrees(used: ReadonlySet<string>): Promise<void> {
    const unused: string[] = [];
    for await (const name of this.trees.keys()) if (!used.has(name)) unused.push(name);
    for (const name of unused) {
      await this.locks.ifUnheld(name, () => removeFile(this.trees, name));
    }
  }
}

function diffIdsOf({ layers }: ImageRecord): string[] {
  return layers.map(({ diffId }) => diffId);
}
