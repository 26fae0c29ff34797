import { Buffer } from "node:buffer";
import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import { asyncDispose, dispose } from "../disposal.js";
import { closed, OciError } from "../errors.js";
import { listingOf } from "../listing.js";
import { decodeName, encodeName } from "../name.js";
import { pause } from "../pause.js";
import type { Entry, EntryKind } from "../record.js";
import { streamOf } from "../stream.js";
import { tarOf } from "../tar.js";
import type { MergedTree } from "../tree.js";
import type { ImageFileSystem, Listing, ListingOptions } from "../types.js";
import { codeOf, diskError } from "./failure.js";
import { DiskFile } from "./file.js";
import { nanosecondsOf, secondsOf } from "./metadata.js";
import { below } from "./path.js";

/**
 * Reads an unpacked directory back, with symlinks resolved inside it, so that no path leads out.
 *
 * Everything is what the disk says now; only the headers of {@link tar} are the merged tree's.
 */
export class DirectoryFileSystem implements ImageFileSystem {
  readonly #root: string;
  #tree: MergedTree | undefined;
  /** Numbers for inodes, and the first name of each that has several. */
  readonly #nodes = new Map<bigint, number>();
  #firsts: Map<number, string> | undefined;

  constructor(root: string, tree: MergedTree) {
    this.#root = root;
    this.#tree = tree;
  }

  async stat(path: string): Promise<Entry | undefined> {
    return this.#linked(this.#find(path, true));
  }

  async lstat(path: string): Promise<Entry | undefined> {
    return this.#linked(this.#find(path, false));
  }

  async readdir(path: string): Promise<Entry[]> {
    const entry = this.#found(path, true);
    if (entry.kind !== "directory") {
      throw new OciError("not-a-directory", `${path} is not a directory`, { errorClass: "usage" });
    }
    const entries: Entry[] = [];
    for (const name of this.#names(entry.path)) {
      const found = await this.#linked(this.#entry(joined(entry.path, name)));
      if (found !== undefined) entries.push({ ...found, path: name });
    }
    return entries;
  }

  async readlink(path: string): Promise<string> {
    const entry = this.#found(path, false);
    if (entry.kind === "symlink") return entry.linkTarget;
    throw new OciError("not-a-symlink", `${path} is not a symlink`, { errorClass: "usage" });
  }

  async open(path: string): Promise<ReadableStream<Uint8Array>> {
    const file = this.#file(path);
    return streamOf(contentOf(file));
  }

  async read(path: string): Promise<Uint8Array> {
    const file = this.#file(path);
    try {
      return await file.readExactly(0, file.length);
    } finally {
      file.close();
    }
  }

  async *walk(): AsyncIterableIterator<Entry> {
    const firsts = new Map<number, string>();
    // A directory has its turn twice: for itself, and for what lies below it, which sorts as with a slash.
    const open: Turn[][] = [[{ path: "", key: Buffer.alloc(0), what: "name" }]];
    while (open.length > 0) {
      const turn = open.at(-1)?.pop();
      if (turn === undefined) {
        open.pop();
        continue;
      }
      if (turn.what === "below") {
        open.push(this.#turns(turn.path));
        continue;
      }
      const entry = this.#entry(turn.path);
      if (entry === undefined) continue;
      if (turn.path === "") open.at(-1)?.push({ ...turn, what: "below" });
      yield withFirst(entry, firsts);
      await pause();
    }
    this.#firsts = firsts;
  }

  tar(): ReadableStream<Uint8Array> {
    return tarOf(this.#living(), this);
  }

  listing(options?: ListingOptions): Promise<Listing> {
    return listingOf(this, options);
  }

  close(): void {
    this.#tree?.close();
    this.#tree = undefined;
  }

  [dispose](): void {
    this.close();
  }

  async [asyncDispose](): Promise<void> {
    this.close();
  }

  /** Returns a directory's turns, the last first. */
  #turns(directory: string): Turn[] {
    const turns = this.#names(directory).flatMap((name): Turn[] => {
      const path = joined(directory, name);
      const key = Buffer.from(encodeName(name));
      const named: Turn = { path, key, what: "name" };
      const isDirectory = lstatSync(below(this.#root, path), { throwIfNoEntry: false })?.isDirectory() === true;
      return isDirectory ? [named, { path, key: Buffer.concat([key, SLASH]), what: "below" }] : [named];
    });
    return turns.sort((one, other) => Buffer.compare(other.key, one.key));
  }

  /** Resolves a path inside the root. */
  #find(path: string, follow: boolean): Entry | undefined {
    this.#living();
    const waiting = path.split("/").reverse();
    const done: string[] = [];
    let links = 0;
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        done.pop();
        continue;
      }
      const entry = this.#entry([...done, name].join("/"));
      if (entry === undefined) return undefined;
      const isLast = waiting.every((rest) => rest === "");
      if (entry.kind === "symlink" && (follow || !isLast)) {
        links += 1;
        if (links > LINKS) {
          throw new OciError("too-many-symlinks", `${path} leads through too many symlinks`, { errorClass: "refused" });
        }
        if (entry.linkTarget.startsWith("/")) done.length = 0;
        waiting.push(...entry.linkTarget.split("/").reverse());
        continue;
      }
      if (!isLast && entry.kind !== "directory") return undefined;
      done.push(name);
    }
    return this.#entry(done.join("/"));
  }

  #found(path: string, follow: boolean): Entry {
    const entry = this.#find(path, follow);
    if (entry !== undefined) return entry;
    throw new OciError("path-not-found", `${path} is not in the image`, { errorClass: "not-found" });
  }

  #file(path: string): DiskFile {
    const entry = this.#found(path, true);
    if (entry.kind !== "file") throw new OciError("not-a-file", `${path} is not a regular file`, { errorClass: "usage" });
    const place = below(this.#root, entry.path);
    try {
      return DiskFile.open(place);
    } catch (error) {
      throw diskError("open", place, error);
    }
  }

  #names(directory: string): string[] {
    const place = below(this.#root, directory);
    try {
      const names: Buffer[] = readdirSync(place, { encoding: "buffer" }).map((name) => Buffer.from(name));
      return names.sort((one, other) => Buffer.compare(one, other)).map(decodeName);
    } catch (error) {
      throw diskError("read directory", place, error);
    }
  }

  /** Describes what stands at a path without links. */
  #entry(path: string): Entry | undefined {
    const place = below(this.#root, path);
    try {
      const found = lstatSync(place, { bigint: true });
      const kind = KINDS.get(Number(found.mode) & TYPE);
      if (kind === undefined) return undefined;
      const isDevice = kind === "character-device" || kind === "block-device";
      return {
        kind,
        path,
        mode: Number(found.mode) & 0o7777,
        uid: Number(found.uid),
        gid: Number(found.gid),
        mtime: secondsOf(found.mtimeNs),
        nanoseconds: nanosecondsOf(found.mtimeNs),
        size: kind === "file" || kind === "symlink" ? Number(found.size) : 0,
        links: kind === "directory" ? 1 : Number(found.nlink),
        node: this.#node(found.ino),
        major: isDevice ? majorOf(found.rdev) : 0,
        minor: isDevice ? minorOf(found.rdev) : 0,
        linkTarget: kind === "symlink" ? decodeName(readlinkSync(place, { encoding: "buffer" })) : "",
        hardLinkTo: "",
        xattrs: NO_XATTRS,
      };
    } catch (error) {
      if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
      throw diskError("inspect", place, error);
    }
  }

  #node(inode: bigint): number {
    const known = this.#nodes.get(inode);
    if (known !== undefined) return known;
    this.#nodes.set(inode, this.#nodes.size);
    return this.#nodes.size - 1;
  }

  /** Adds the first name of a file that has several. */
  async #linked(entry: Entry | undefined): Promise<Entry | undefined> {
    if (entry === undefined || entry.links < 2) return entry;
    if (this.#firsts === undefined) for await (const _ of this.walk()) continue;
    const first = this.#firsts?.get(entry.node) ?? entry.path;
    return first === entry.path ? entry : { ...entry, hardLinkTo: first };
  }

  #living(): MergedTree {
    if (this.#tree === undefined) throw closed("the file system");
    return this.#tree;
  }
}

interface Turn {
  readonly path: string;
  /** What paths of this turn begin with, below its directory. */
  readonly key: Buffer;
  readonly what: "name" | "below";
}

function withFirst(entry: Entry, firsts: Map<number, string>): Entry {
  if (entry.links < 2) return entry;
  const first = firsts.get(entry.node);
  if (first !== undefined) return { ...entry, hardLinkTo: first };
  firsts.set(entry.node, entry.path);
  return entry;
}

async function* contentOf(file: DiskFile): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* file.pieces(0, file.length);
  } finally {
    file.close();
  }
}

function joined(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

/** As Linux packs them into one number. */
function majorOf(device: bigint): number {
  return Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n));
}

function minorOf(device: bigint): number {
  return Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n));
}

const TYPE = 0o170000;

const KINDS: ReadonlyMap<number, EntryKind> = new Map([
  [0o040000, "directory"],
  [0o100000, "file"],
  [0o120000, "symlink"],
  [0o010000, "fifo"],
  [0o020000, "character-device"],
  [0o060000, "block-device"],
]);

/** As the core and most systems: a longer chain is a loop. */
const LINKS = 40;

const SLASH = Buffer.from("/");
const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();
