import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  openSync,
} from "node:fs";
import type { BigIntStats } from "node:fs";
import process from "node:process";
import { OciError } from "../errors.js";
import type { Entry } from "../record.js";
import type { Report, Skipped } from "../types.js";
import { codeOf, onDisk } from "./failure.js";
import { NO_FOLLOW } from "./file.js";
import type { DiskPath } from "./path.js";

/**
 * Applies owner, mode and times, in this order, and keeps the report of what could not be applied.
 *
 * The order matters: a change of owner clears setuid bits, and any change but that of the times could
 * take away the right to make the next one.
 */
export class Applier {
  readonly #isRoot = process.geteuid?.() === 0;
  readonly #skipped: Skipped[] = [];
  readonly #counts: Record<string, number> = {};
  /** Who a new file belongs to, once one was made. */
  #natural: { readonly uid: number; readonly gid: number } | undefined;
  #nanoseconds = 0;

  /** Applies everything to an open, new regular file. */
  file(entry: Entry, path: DiskPath, descriptor: number): void {
    this.#natural ??= owners(fstatSync(descriptor));
    this.#opened(entry, path, descriptor, this.#natural);
  }

  /** Applies everything to a directory. */
  directory(entry: Entry, path: DiskPath): void {
    const flags = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | NO_FOLLOW;
    const descriptor = onDisk("open directory", path, () => openSync(path, flags));
    try {
      // Not always ours: a destination that was there before has an owner of its own.
      this.#opened(entry, path, descriptor, owners(fstatSync(descriptor)));
    } finally {
      closeSync(descriptor);
    }
  }

  /** Applies what a symbolic link can have. */
  symlink(entry: Entry, path: DiskPath): void {
    this.#natural ??= owners(lstatSync(path));
    this.#own(entry, path, this.#natural, () => lchownSync(path, entry.uid, entry.gid));
    this.#xattrs(entry);
    this.#time(entry, path, (time) => lutimesSync(path, time, time), () => lstatSync(path, { bigint: true }));
  }

  /** Takes note of something that was left out. */
  skip(entry: Entry, what: string, reason: string, name?: string): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + 1;
    // Ownership by root, which every image has, is only counted.
    if (what === "ownership" && entry.uid === 0 && entry.gid === 0) return;
    if (this.#skipped.length >= ITEMS) {
      const message = `more than ${ITEMS} items could not be applied`;
      throw new OciError("limit-tree-bytes", message, { errorClass: "refused" });
    }
    this.#skipped.push({ path: entry.path, what, ...(name !== undefined && { name }), reason });
  }

  report(): Report {
    if (this.#nanoseconds === 0) return { skipped: this.#skipped, counts: this.#counts };
    const summary = { path: "", what: "nanoseconds", reason: "not-supported" };
    return { skipped: [...this.#skipped, summary], counts: { ...this.#counts, nanoseconds: this.#nanoseconds } };
  }

  #opened(entry: Entry, path: DiskPath, descriptor: number, current: { uid: number; gid: number }): void {
    const owned = this.#own(entry, path, current, () => fchownSync(descriptor, entry.uid, entry.gid));
    this.#xattrs(entry);
    const mode = owned ? entry.mode & ALL_BITS : entry.mode & ALL_BITS & ~SET_ID;
    // The caller's permissions are not what the image's setuid bit means.
    if (mode !== (entry.mode & ALL_BITS)) this.skip(entry, "special-mode", "not-permitted");
    onDisk("set the permissions of", path, () => fchmodSync(descriptor, mode));
    if ((mode & SET_ID) !== 0 && (fstatSync(descriptor).mode & mode & SET_ID) !== (mode & SET_ID)) {
      this.skip(entry, "special-mode", "not-permitted");
    }
    this.#time(entry, path, (time) => futimesSync(descriptor, time, time), () => fstatSync(descriptor, { bigint: true }));
  }

  /** Returns whether it belongs to whom the image says. */
  #own({ uid, gid, ...entry }: Entry, path: DiskPath, current: { uid: number; gid: number }, change: () => void): boolean {
    if (uid === current.uid && gid === current.gid) return true;
    let reason = "not-permitted";
    if (this.#isRoot) {
      try {
        change();
        return true;
      } catch (error) {
        const code = codeOf(error) ?? "";
        if (UNMAPPED.includes(code)) reason = "not-supported";
        else if (code !== "EPERM" && code !== "EACCES") onDisk("set the owner of", path, () => { throw error; });
      }
    }
    this.skip({ ...entry, uid, gid }, "ownership", reason);
    return false;
  }

  #xattrs(entry: Entry): void {
    for (const name of entry.xattrs.keys()) this.skip(entry, "xattr", "not-supported", name);
  }

  #time(entry: Entry, path: DiskPath, set: (time: number | Date) => void, stat: () => BigIntStats): void {
    const { mtime, nanoseconds } = entry;
    try {
      set(timeOf(mtime, nanoseconds));
    } catch (error) {
      // Deno sets no times before 1970.
      if (mtime >= 0) onDisk("set the time of", path, () => { throw error; });
      return this.skip(entry, "modification-time", "not-supported");
    }
    if (nanoseconds === 0 && mtime >= 0 && mtime <= TIMES_HELD_BY_ALL) return;
    const found = stat().mtimeNs;
    if (secondsOf(found) !== mtime) this.skip(entry, "modification-time", "not-supported");
    else if (nanosecondsOf(found) !== nanoseconds) this.#nanoseconds += 1;
  }
}

/** Returns the whole seconds of a time in nanoseconds. */
export function secondsOf(time: bigint): number {
  return Number((time - BigInt(nanosecondsOf(time))) / BILLION);
}

/** Returns what a time in nanoseconds has beyond whole seconds. */
export function nanosecondsOf(time: bigint): number {
  return Number(((time % BILLION) + BILLION) % BILLION);
}

/**
 * Returns a time as the runtime takes it, never later than it is: a number cannot hold nanoseconds, and
 * one before 1970 has to be a date.
 */
function timeOf(seconds: number, nanoseconds: number): number | Date {
  if (seconds < 0) return new Date(seconds * 1_000 + Math.floor(nanoseconds / 1_000_000));
  return seconds > FRACTIONS_HELD ? seconds : seconds + Math.floor(nanoseconds / 1_000) / 1_000_000;
}

function owners({ uid, gid }: { readonly uid: number; readonly gid: number }): { uid: number; gid: number } {
  return { uid, gid };
}

/** What the system says of an owner that a user namespace or a file system cannot hold. */
const UNMAPPED: readonly string[] = ["EINVAL", "EOVERFLOW", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"];

const ALL_BITS = 0o7777;
/** The bits that lend the owner's or the group's permissions. */
const SET_ID = 0o6000;

/** A million items of real images fit into some hundred megabytes. */
const ITEMS = 1_000_000;

/** Every file system keeps times up to here (2038-01-19). */
const TIMES_HELD_BY_ALL = 2 ** 31 - 1;

/** Seconds up to which a number tells microseconds apart. */
const FRACTIONS_HELD = 2 ** 32;

const BILLION = 1_000_000_000n;
