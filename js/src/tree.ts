import type { Entry } from "./record.js";
import type { Counts, Report } from "./types.js";

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
