import type { Border, Engine } from "./engine.js";
import { closed, OciError } from "./errors.js";
import type { DecodedLayer } from "./layer.js";
import { decodeName, encodeName } from "./name.js";
import { pause } from "./pause.js";
import { decodeRecords, type Entry } from "./record.js";
import type { Counts, Limits, NamePolicy, Report } from "./types.js";

/** One run of a file's content that is not a hole. */
export interface Extent {
  /** Where it lies in the file. */
  readonly offset: number;
  /** Which layer's pack it is in, counted from zero. */
  readonly layer: number;
  /** Where it lies in that pack. */
  readonly position: number;
  readonly length: number;
}

/** The merged tree: the authority over every path. Synchronous, and without any content. */
export interface MergedTree {
  readonly counts: Counts;
  readonly report: Report;
  /** What stands at a path; symlinks are resolved inside the root, in the last place if `follow`. */
  stat(path: string, follow: boolean): Entry | undefined;
  /** What a directory holds, in byte order of names. */
  readdir(path: string): Entry[] | undefined;
  /** Every entry in byte order of paths, the root first. */
  walk(): IterableIterator<Entry>;
  /** Where a file's content lies, in order of offsets. */
  extents(node: number): Extent[];
  /** The header blocks of an entry in the flattened tar. */
  tarHeader(path: string): Uint8Array;
  tarTrailer(): Uint8Array;
  close(): void;
}

/** How layers are merged. */
export interface MergeOptions {
  readonly limits: Partial<Limits>;
  /** Paths selected; empty for all. */
  readonly paths: readonly string[];
  readonly names: NamePolicy;
}

/** Checks that options can be meant, before anything is fetched. */
export function checkMerge(engine: Engine, options: MergeOptions): void {
  try {
    engine.call((border) => new border.Merge(jsonOf(options)).free());
  } catch (error) {
    throw blamingCaller(error);
  }
}

/** Merges decoded layers, in the order in which they are applied. */
export async function mergeLayers(
  engine: Engine,
  layers: readonly DecodedLayer[],
  options: MergeOptions,
): Promise<MergedTree> {
  const merge = engine.call((border) => new border.Merge(jsonOf(options)));
  try {
    for (const { index, pack } of layers) {
      // A large layer alone takes as long as a page may be blocked.
      await pause();
      engine.call(() => merge.layer(index, pack.length));
    }
    await pause();
  } catch (error) {
    if (engine.alive) engine.call(() => merge.free());
    throw error;
  }
  const tree = engine.call(() => merge.finish());
  await pause();
  return new Tree(engine, tree, layers);
}

function jsonOf({ limits, paths, names }: MergeOptions): string {
  return JSON.stringify({ limits, names, ...(paths.length > 0 && { paths }) });
}

type FileTree = ReturnType<InstanceType<Border["Merge"]>["finish"]>;

class Tree implements MergedTree {
  readonly counts: Counts;
  readonly report: Report;
  readonly #engine: Engine;
  #tree: FileTree | undefined;
  /** Where each layer's pack begins in all packs end to end, and where the last ends. */
  readonly #starts: readonly number[];

  constructor(engine: Engine, tree: FileTree, layers: readonly DecodedLayer[]) {
    this.#engine = engine;
    this.#tree = tree;
    const starts = [0];
    for (const layer of layers) starts.push((starts.at(-1) ?? 0) + layer.pack.length);
    this.#starts = starts;
    this.counts = JSON.parse(engine.call(() => tree.counts())) as Counts;
    this.report = reportOf(engine.call(() => tree.report()));
  }

  stat(path: string, follow: boolean): Entry | undefined {
    const record = this.#at(path, (tree, bytes) => tree.stat(bytes, follow));
    return record === undefined ? undefined : decodeRecords(record)[0];
  }

  readdir(path: string): Entry[] | undefined {
    const records = this.#at(path, (tree, bytes) => tree.readdir(bytes));
    return records === undefined ? undefined : decodeRecords(records);
  }

  *walk(): IterableIterator<Entry> {
    let after: Uint8Array | undefined;
    for (;;) {
      const entries = decodeRecords(this.#call((tree) => tree.walk(after, WALKED_AT_ONCE)));
      yield* entries;
      const last = entries.at(-1);
      if (last === undefined) return;
      after = encodeName(last.path);
    }
  }

  extents(node: number): Extent[] {
    const flat = this.#call((tree) => tree.extents(node));
    const extents: Extent[] = [];
    for (let at = 0; at + 2 < flat.length; at += 3) {
      const [offset = 0, position = 0, length = 0] = flat.subarray(at, at + 3);
      const layer = this.#layerAt(position);
      extents.push({ offset, layer, position: position - (this.#starts[layer] ?? 0), length });
    }
    return extents;
  }

  tarHeader(path: string): Uint8Array {
    return this.#at(path, (tree, bytes) => tree.tarHeader(bytes));
  }

  tarTrailer(): Uint8Array {
    return this.#call((tree) => tree.tarTrailer());
  }

  close(): void {
    const tree = this.#tree;
    this.#tree = undefined;
    // An instance that has trapped holds nothing any more.
    if (tree !== undefined && this.#engine.alive) this.#engine.call(() => tree.free());
  }

  /** Returns the last layer whose pack begins at or before a position; empty packs come before it. */
  #layerAt(position: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] ?? 0) <= position) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Calls the tree about a path. */
  #at<T>(path: string, work: (tree: FileTree, bytes: Uint8Array) => T): T {
    const bytes = encodePath(path);
    try {
      return this.#call((tree) => work(tree, bytes));
    } catch (error) {
      throw blamingCaller(error);
    }
  }

  #call<T>(work: (tree: FileTree) => T): T {
    const tree = this.#tree;
    if (tree === undefined) throw closed("the file system");
    return this.#engine.call(() => work(tree));
  }
}

/** Returns a path in bytes, without the slashes before and after it. */
function encodePath(path: string): Uint8Array {
  return encodeName(path.replace(/^\/+|\/+$/g, ""));
}

/** A path that the caller gave and that leads out of the image is the caller's fault, not the image's. */
function blamingCaller(error: unknown): unknown {
  if (!(error instanceof OciError) || error.code !== "unsafe-name") return error;
  const advice = "give a path inside the image";
  return new OciError(error.code, error.message, { errorClass: "usage", advice, cause: error.cause });
}

function reportOf(json: string): Report {
  const { skipped, counts } = JSON.parse(json) as Report;
  return { skipped: skipped.map((item) => ({ ...item, path: decodeName(bytesOf(item.path)) })), counts };
}

/** Each character stands for a byte. */
function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Some hundred kilobytes of records at once. */
const WALKED_AT_ONCE = 1_000;
