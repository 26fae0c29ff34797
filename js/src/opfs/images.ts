import type { ImageStore, StoredImage } from "../destination.js";
import { asyncDispose } from "../disposal.js";
import { engine } from "../engine.js";
import { PackFileSystem } from "../file-system.js";
import { Pulled } from "../image.js";
import type { DecodedLayer, Pack } from "../layer.js";
import { mergeLayers, type MergedTree } from "../tree.js";
import type { PulledImage } from "../types.js";
import { Hold } from "./locks.js";
import { damaged, type OpenedImage } from "./opened.js";
import { imagesOf, type ImageRecord } from "./record.js";
import { OpfsStore } from "./store.js";
import { openTree } from "./tree.js";

/**
 * The images in the origin private file system, or in any directory that `opfs()` was given.
 *
 * `client.images()`, `client.open()` and `client.remove()` use it in browsers.
 */
export function opfsImages(directory?: FileSystemDirectoryHandle): ImageStore {
  const store = (): Promise<OpfsStore> => OpfsStore.open(directory);
  return {
    async images(): Promise<readonly StoredImage[]> {
      return (await (await store()).records.all()).map(storedImage);
    },
    async open(name: string): Promise<PulledImage | undefined> {
      return openImage(await store(), name);
    },
    async remove(name: string): Promise<boolean> {
      return (await store()).remove(name);
    },
  };
}

/** Reads an image of a store; as long as it is open, nothing that it needs is removed. */
export class StoredFileSystem extends PackFileSystem {
  readonly #store: OpfsStore;
  readonly #hold: Hold;
  readonly #record: ImageRecord;
  #released: Promise<void> | undefined;

  constructor(tree: MergedTree, packs: readonly Pack[], stored: { store: OpfsStore; hold: Hold; record: ImageRecord }) {
    super(tree, packs);
    this.#store = stored.store;
    this.#hold = stored.hold;
    this.#record = stored.record;
  }

  override close(): void {
    super.close();
    this.#released ??= this.#release().catch(() => undefined);
  }

  override async [asyncDispose](): Promise<void> {
    this.close();
    await this.#released;
  }

  /** Lets go; the image may have been removed meanwhile, or replaced. */
  async #release(): Promise<void> {
    await this.#hold.release();
    await this.#store.sweep({ dropped: [this.#record] });
  }
}

async function openImage(store: OpfsStore, name: string): Promise<PulledImage | undefined> {
  const record = await store.records.read(name);
  if (record === undefined) return undefined;
  const hold = await Hold.begin(store.locks);
  try {
    const opened = record.tree === undefined ? await openLayers(store, record, hold) : await openTree(await treeOf(store, record.name, record.tree), record);
    const { tree, packs, warnings } = opened;
    const { counts, report } = tree;
    const files = new StoredFileSystem(tree, packs, { store, hold, record });
    return new Pulled({ images: imagesOf(record), counts, report, warnings, files });
  } catch (error) {
    await hold.release();
    throw error;
  }
}

async function openLayers(store: OpfsStore, record: ImageRecord, hold: Hold): Promise<OpenedImage> {
  const { limits, paths } = record;
  const layers: DecodedLayer[] = [];
  for (const { diffId } of record.layers) {
    const layer = await store.layers.find(diffId, hold);
    if (layer === undefined) throw damaged(record.name);
    layers.push(layer);
  }
  const tree = await mergeLayers(await engine(), layers, { limits, paths, names: "any" });
  const warnings = [...new Set(layers.flatMap(({ report }) => report.warnings))];
  return { tree, packs: layers.map(({ pack }) => pack), warnings };
}

async function treeOf(store: OpfsStore, image: string, tree: string): Promise<FileSystemDirectoryHandle> {
  try {
    return await store.trees.getDirectoryHandle(tree);
  } catch {
    throw damaged(image);
  }
}

function storedImage({ name, references, digest, platform, bytes, completed }: ImageRecord): StoredImage {
  return { name, references, digest, platform, bytes, completed };
}
