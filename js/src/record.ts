/** What an entry of a tree is. */
export type EntryKind = "directory" | "file" | "symlink" | "fifo" | "character-device" | "block-device";

/** One entry of a merged tree. */
export interface Entry {
  readonly kind: EntryKind;
  /** The path from the root, without a leading slash; the name alone where a directory was read. */
  readonly path: string;
  /** Permission bits, with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Time of modification, in whole seconds since 1970. */
  readonly mtime: number;
  /** And its nanoseconds. */
  readonly nanoseconds: number;
  /** Bytes of a regular file's content. */
  readonly size: number;
  /** How many names the file has. */
  readonly links: number;
  /** The same for all names of one file, within one tree. */
  readonly node: number;
  /** A device's major number. */
  readonly major: number;
  /** A device's minor number. */
  readonly minor: number;
  /** A symlink's target, as it is written; empty otherwise. */
  readonly linkTarget: string;
  /** The first name of the same file in the order of a walk; empty where this is the first. */
  readonly hardLinkTo: string;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}
