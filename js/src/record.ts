import { decodeName, encodeName } from "./name.js";

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

/** Reads records that follow each other. */
export function decodeRecords(bytes: Uint8Array): Entry[] {
  const reader = new Reader(bytes);
  const entries: Entry[] = [];
  while (reader.hasMore()) entries.push(reader.entry());
  return entries;
}

/** Writes one record. */
export function encodeRecord(entry: Entry): Uint8Array {
  const names = [entry.path, entry.linkTarget, entry.hardLinkTo].map(encodeName);
  const xattrs = [...entry.xattrs].map(([name, value]) => [encodeName(name), value] as const);
  const strings = [...names, ...xattrs.flat()];
  const bytes = new Uint8Array(FIXED + 4 + strings.reduce((total, string) => total + 4 + string.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  const u32 = (value: number): void => {
    view.setUint32(at, value, true);
    at += 4;
  };
  const f64 = (value: number): void => {
    view.setFloat64(at, value, true);
    at += 8;
  };
  const string = (value: Uint8Array): void => {
    u32(value.length);
    bytes.set(value, at);
    at += value.length;
  };
  view.setUint8(at, KINDS.indexOf(entry.kind));
  at += 1;
  for (const value of [entry.mode, entry.uid, entry.gid]) u32(value);
  f64(entry.mtime);
  u32(entry.nanoseconds);
  f64(entry.size);
  for (const value of [entry.links, entry.node, entry.major, entry.minor]) u32(value);
  names.forEach(string);
  u32(xattrs.length);
  xattrs.flat().forEach(string);
  return bytes;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  hasMore(): boolean {
    return this.#at < this.#bytes.length;
  }

  entry(): Entry {
    const kind = KINDS[this.#bytes[this.#at] ?? KINDS.length];
    if (kind === undefined) throw new RangeError("a record of an unknown kind");
    this.#at += 1;
    return {
      kind,
      mode: this.#u32(),
      uid: this.#u32(),
      gid: this.#u32(),
      mtime: this.#f64(),
      nanoseconds: this.#u32(),
      size: this.#f64(),
      links: this.#u32(),
      node: this.#u32(),
      major: this.#u32(),
      minor: this.#u32(),
      path: decodeName(this.#string()),
      linkTarget: decodeName(this.#string()),
      hardLinkTo: decodeName(this.#string()),
      xattrs: this.#xattrs(),
    };
  }

  #xattrs(): ReadonlyMap<string, Uint8Array> {
    const count = this.#u32();
    if (count === 0) return NO_XATTRS;
    const xattrs = new Map<string, Uint8Array>();
    for (let index = 0; index < count; index += 1) {
      const name = decodeName(this.#string());
      xattrs.set(name, this.#string().slice());
    }
    return xattrs;
  }

  #u32(): number {
    const value = this.#view.getUint32(this.#at, true);
    this.#at += 4;
    return value;
  }

  #f64(): number {
    const value = this.#view.getFloat64(this.#at, true);
    this.#at += 8;
    return value;
  }

  #string(): Uint8Array {
    const length = this.#u32();
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) throw new RangeError("a record that ends early");
    return this.#bytes.subarray(start, this.#at);
  }
}

/** In the order of the numbers that stand for them. */
const KINDS: readonly EntryKind[] = ["directory", "file", "symlink", "fifo", "character-device", "block-device"];

/** Bytes before the first string. */
const FIXED = 1 + 3 * 4 + 8 + 4 + 8 + 4 * 4;

const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();
