import type { Destination, MergedImage, PullContext, Staging } from "../destination.js";
import { OciError, usage } from "../errors.js";
import type { DecodedLayer, LayerSpec, PackPlace } from "../layer.js";
import { StoredFileSystem } from "../opfs/images.js";
import { Hold } from "../opfs/locks.js";
import { writePack } from "../opfs/pack.js";
import { recordOf, type ImageRecord } from "../opfs/record.js";
import { OpfsStore } from "../opfs/store.js";
import { FILES, readTree, writeTree } from "../opfs/tree.js";
import { usePacks } from "../pack.js";
import type { ImageFileSystem } from "../types.js";

/** How an image is kept in the origin private file system. */
export interface OpfsOptions {
  /** What the image is called there, where a directory was given; the reference by default. */
  readonly name?: string;
  /**
   * `packs` keeps all contents of a layer in one file, which images share, and is fast. `files` keeps a
   * file an entry, which other code can open by name: for some thousand entries at the most.
   */
  readonly layout?: "packs" | "files";
}

/**
 * Unpacks into the browser's origin private file system, where the image stays: under a name, or under
 * its reference; with a directory handle, in a store in that directory.
 *
 * The image is visible when it is complete, and not before. Layers that are there already, from another
 * image or from a pull that was cut off, are not fetched again.
 *
 * ```js
 * await client.pull("debian:13", { to: opfs("system") });
 * const image = await client.open("system");
 * ```
 */
export function opfs(place?: string | FileSystemDirectoryHandle, options: OpfsOptions = {}): Destination {
  const directory = typeof place === "object" ? place : undefined;
  const named = typeof place === "string" ? place : options.name;
  if (named === "") throw usage("an image's name is empty");
  usePacks("opfs", writePack);
  return {
    kind: "files",
    async begin(pull: PullContext): Promise<Staging> {
      const store = await OpfsStore.open(directory);
      await store.sweep({});
      const name = named ?? pull.references.join(" ");
      const parts = { store, hold: await Hold.begin(store.locks), pull, name };
      return options.layout === "files" ? new TreeStaging(parts) : new PackStaging(parts);
    },
  };
}

/** What every pull into a store has. */
interface Parts {
  readonly store: OpfsStore;
  readonly hold: Hold;
  readonly pull: PullContext;
  readonly name: string;
}

/** Keeps layers as packs, which images share. */
class PackStaging implements Staging {
  protected readonly parts: Parts;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  async find({ digest, size, diffId }: LayerSpec): Promise<DecodedLayer | undefined> {
    const { store, hold } = this.parts;
    const layer = await store.layers.find(diffId, hold);
    // The same content may have been compressed differently where it came from then.
    return layer && { ...layer, report: { ...layer.report, digest, size } };
  }

  place({ diffId }: LayerSpec): PackPlace {
    return this.parts.store.layers.place(diffId, this.parts.hold);
  }

  async decoded(spec: LayerSpec, layer: DecodedLayer): Promise<void> {
    await this.parts.store.layers.keep(spec, layer, this.parts.hold);
  }

  async complete(image: MergedImage): Promise<ImageFileSystem> {
    const { store, hold } = this.parts;
    const record = this.record(image);
    await store.add(record);
    const packs = image.layers.map(({ layer }) => layer.pack);
    return new StoredFileSystem(image.tree, packs, { store, hold, record });
  }

  async abort(reason: unknown): Promise<void> {
    const { store, hold } = this.parts;
    await hold.release();
    // Layers that were verified wait for the next attempt, unless there is no room for waiting.
    const full = reason instanceof OciError && reason.code === "quota-exceeded";
    await store.sweep({ orphans: full ? "all" : "old" });
  }

  protected record({ images, layers }: MergedImage, tree?: string): ImageRecord {
    const { name, pull } = this.parts;
    return recordOf({
      name,
      pull,
      images,
      layers: layers.map(({ spec, layer }) => ({ spec, packLength: layer.pack.length })),
      ...(tree === undefined ? {} : { tree }),
    });
  }
}

/** Keeps a file an entry; packs are there only while they are copied from. */
class TreeStaging extends PackStaging {
  override async decoded(): Promise<void> {}

  override async complete(image: MergedImage): Promise<ImageFileSystem> {
    const { store, hold } = this.parts;
    const root = await store.trees.getDirectoryHandle(hold.id, { create: true });
    await writeTree(root, image);
    const record = this.record(image, hold.id);
    await store.add(record);
    const { tree, packs } = readTree(await root.getDirectoryHandle(FILES), image.tree);
    for (const { layer } of image.layers) layer.pack.close();
    await store.layers.removeOf(hold);
    return new StoredFileSystem(tree, packs, { store, hold, record });
  }
}
