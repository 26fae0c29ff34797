import { digestOfBytes } from "../digest.js";
import type { DecodedLayer, LayerReport, LayerSpec, PackPlace } from "../layer.js";
import { openFile, removeFile, writeFile } from "./file.js";
import type { Hold, Locks } from "./locks.js";
import { packOf } from "./pack.js";

// A layer is a pack, an index and a marker. Names of pack and index hold the id of the pull that wrote
// them, so that two tabs never write the same file. The marker is written last; it names the two, and
// only through it are they found:
//
//     sha256-<diff_id>.<id>.pack      sha256-<diff_id>.<id>.index      sha256-<diff_id>.json

/** What a marker says: everything about its layer was verified. */
interface Marker {
  readonly version: typeof VERSION;
  readonly pack: { readonly name: string; readonly length: number };
  readonly index: { readonly name: string; readonly length: number; readonly digest: string };
  readonly report: LayerReport;
  /** When it was written, in milliseconds since 1970. */
  readonly written: number;
}

/** Verified layers, which images share. */
export class LayerStore {
  readonly #directory: FileSystemDirectoryHandle;
  readonly #locks: Locks;

  constructor(directory: FileSystemDirectoryHandle, locks: Locks) {
    this.#directory = directory;
    this.#locks = locks;
  }

  /** Says where a pull writes a layer's pack. */
  place(diffId: string, { id }: Hold): PackPlace {
    return { kind: "opfs", directory: this.#directory, name: `${keyOf(diffId)}.${id}${PACK}` };
  }

  /** Returns a layer that is here and as it was when it was verified. */
  async find(diffId: string, hold: Hold): Promise<DecodedLayer | undefined> {
    const key = keyOf(diffId);
    await hold.layer(key);
    const marker = await this.#marker(key);
    return marker === undefined ? undefined : this.#load(marker);
  }

  /** Keeps a layer that was verified. Another tab may have kept it already; its files are as good. */
  async keep({ diffId }: LayerSpec, layer: DecodedLayer, hold: Hold): Promise<void> {
    const key = keyOf(diffId);
    await hold.layer(key);
    const name = `${key}.${hold.id}`;
    const index = new Uint8Array(layer.index);
    await writeFile(this.#directory, `${name}${INDEX}`, index);
    const digest = await digestOfBytes(index);
    await this.#locks.within(`marker/${key}`, "exclusive", async () => {
      const kept = await this.#marker(key);
      if (kept !== undefined && (await this.#load(kept)) !== undefined) return;
      const marker: Marker = {
        version: VERSION,
        pack: { name: `${name}${PACK}`, length: layer.pack.length },
        index: { name: `${name}${INDEX}`, length: index.length, digest },
        report: layer.report,
        written: Date.now(),
      };
      await writeFile(this.#directory, `${key}${MARKER}`, JSON.stringify(marker));
    });
  }

  /** Takes away what a pull wrote and nobody needs any more, because no marker names it. */
  async removeOf({ id }: Hold): Promise<void> {
    const own: string[] = [];
    for await (const name of this.#directory.keys()) if (name.split(".")[1] === id) own.push(name);
    for (const name of own) await removeFile(this.#directory, name);
  }

  /**
   * Removes layers that are not in `used` and which nobody holds: those in `dropped`, and those that a
   * pull has left behind long ago (or, if `now`, at any time). Files of pulls that were cut off go too.
   */
  async sweep(used: ReadonlySet<string>, dropped: ReadonlySet<string>, orphans: "old" | "all"): Promise<void> {
    const files = new Map<string, string[]>();
    for await (const name of this.#directory.keys()) {
      const key = name.slice(0, name.indexOf("."));
      files.set(key, [...(files.get(key) ?? []), name]);
    }
    const usedKeys = new Set([...used].map(keyOf));
    const droppedKeys = new Set([...dropped].map(keyOf));
    for (const [key, names] of files) {
      const marker = await this.#marker(key);
      const left = marker === undefined || orphans === "all" || droppedKeys.has(key) || isOld(marker);
      if (!usedKeys.has(key) && left) await this.#remove(key, names);
      else if (names.length > FILES) await this.#removeUnnamed(marker, names);
    }
  }

  /** Removes a whole layer, unless somebody uses it. */
  #remove(key: string, names: readonly string[]): Promise<void> {
    return this.#locks.ifUnused(key, async () => {
      // Without its marker the rest means nothing, wherever this is cut off.
      if (names.includes(`${key}${MARKER}`)) await removeFile(this.#directory, `${key}${MARKER}`);
      await this.#removeUnnamed(undefined, names);
    });
  }

  /** Removes files which no marker names, unless whoever wrote them is still there. */
  async #removeUnnamed(marker: Marker | undefined, names: readonly string[]): Promise<void> {
    const files = new Map<string, string[]>();
    for (const name of names) {
      if (name.endsWith(MARKER) || name === marker?.pack.name || name === marker?.index.name) continue;
      const id = name.split(".")[1] ?? "";
      files.set(id, [...(files.get(id) ?? []), name]);
    }
    for (const [id, unnamed] of files) {
      await this.#locks.ifUnheld(id, async () => {
        for (const name of unnamed) await removeFile(this.#directory, name);
      });
    }
  }

  async #marker(key: string): Promise<Marker | undefined> {
    const file = await openFile(this.#directory, `${key}${MARKER}`);
    if (file === undefined) return undefined;
    try {
      const marker = JSON.parse(await file.text()) as Marker;
      return marker.version === VERSION ? marker : undefined;
    } catch {
      return undefined;
    }
  }

  /** Opens a layer, unless it is not what its marker says. */
  async #load({ pack, index, report }: Marker): Promise<DecodedLayer | undefined> {
    const file = await openFile(this.#directory, index.name);
    if (file === undefined || file.size !== index.length) return undefined;
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (!isCurrent(bytes) || (await digestOfBytes(bytes)) !== index.digest) return undefined;
    const content = await openFile(this.#directory, pack.name);
    return content?.size === pack.length ? { index: bytes, pack: packOf(content), report } : undefined;
  }
}

/** Whether this version's module can read an index; otherwise its layer is decoded anew. */
function isCurrent(index: Uint8Array): boolean {
  return INDEX_START.every((byte, at) => index[at] === byte);
}

/** What the module's indexes begin with: `OCFL` and the format's version. */
const INDEX_START: readonly number[] = [0x4f, 0x43, 0x46, 0x4c, 1];

/** A digest as part of a file's name. */
function keyOf(digest: string): string {
  return digest.replace(":", "-");
}

function isOld({ written }: Marker): boolean {
  return Date.now() - written > ORPHANED;
}

const PACK = ".pack";
const INDEX = ".index";
const MARKER = ".json";
/** Files of one layer, when there are no others. */
const FILES = 3;
const VERSION = 1;
/** How long layers of a pull that was cut off wait for the next attempt, in milliseconds: a day. */
const ORPHANED = 24 * 60 * 60 * 1000;
