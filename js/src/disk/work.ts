import { Buffer } from "node:buffer";
import { randomInt } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { codeOf } from "./failure.js";
import { LockFile } from "./lock.js";
import { removeTree } from "./remove.js";

/**
 * A private directory in which something is put together, and the places beside it.
 *
 * ```text
 * .NAME.oci-fetcher-x7k2p9.js/       beside NAME; `.oci-fetcher-x7k2p9.js` in a folder that is all ours
 *   lock                             says that its owner lives
 * .NAME.oci-fetcher-x7k2p9.js.new    a finished tree on its way to NAME
 * .NAME.oci-fetcher-x7k2p9.js.old    what stood at NAME before
 * ```
 *
 * The native program has the same names without the `.js`, and locks what they name with `flock`, which
 * JavaScript cannot: each host would take the other's for dead, and so leaves them alone.
 */
export class WorkDirectory {
  readonly path: string;
  readonly #lock: LockFile;

  private constructor(path: string, lock: LockFile) {
    this.path = path;
    this.#lock = lock;
  }

  /** Creates one, with mode 0700. */
  static create(parent: string, prefix: string): WorkDirectory {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const path = join(parent, `${prefix}${randomName()}${OURS}`);
      try {
        mkdirSync(path, { mode: 0o700 });
      } catch (error) {
        if (codeOf(error) === "EEXIST") continue;
        throw error;
      }
      chmodSync(path, 0o700);
      try {
        const lock = LockFile.tryAcquire(join(path, LOCK));
        if (lock !== undefined) return new WorkDirectory(path, lock);
      } catch (error) {
        // Somebody took it for a leftover in the moment before it was locked.
        if (codeOf(error) !== "ENOENT") throw error;
      }
    }
    throw Object.assign(new Error("no name is free"), { code: "EEXIST" });
  }

  /** Returns where something in it lies. */
  within(name: string): string {
    return join(this.path, name);
  }

  /** Returns where the finished tree, or what it replaces, lies beside it. */
  beside(what: "new" | "old"): string {
    return `${this.path}.${what}`;
  }

  /** Removes it, with what is beside it. */
  async remove(): Promise<void> {
    try {
      for (const path of [this.beside("new"), this.beside("old"), this.path]) await removeTree(path);
    } finally {
      this.#lock.release();
    }
  }
}

/** Returns what the names of work directories beside `name` begin with. */
export function prefixOf(name: string): string {
  let shortened = name;
  while (Buffer.byteLength(shortened) > LONGEST_NAME) shortened = shortened.slice(0, -1);
  return `.${shortened}${ANONYMOUS}`;
}

/** Returns a name as the native program gives to files on their way to their final names. */
export function randomName(): string {
  return Array.from({ length: RANDOM_CHARACTERS }, () => randomInt(36).toString(36)).join("");
}

/** What names in a folder that is all ours begin with. */
export const ANONYMOUS = ".oci-fetcher-";

/** Removes what killed processes left for a destination. What stood there before them comes back. */
export async function reclaim(parent: string, prefix: string, destination: string): Promise<void> {
  for (const { path, lock } of deadIn(parent, prefix)) {
    try {
      if (!exists(destination) && exists(`${path}.old`)) renameSync(`${path}.old`, destination);
      for (const left of [`${path}.new`, `${path}.old`, path]) await removeTree(left);
    } catch {
      // What cannot be removed stays: it harms nobody.
    } finally {
      lock.release();
    }
  }
}

/** Yields work directories whose owners are dead, locked, so that nobody else removes them. */
export function* deadIn(
  parent: string,
  prefix: string,
  isMeant: (path: string) => boolean = () => true,
): Generator<{ readonly path: string; readonly lock: LockFile }> {
  for (const name of namesIn(parent)) {
    const path = join(parent, name);
    if (!isWorkName(name, prefix) || !isMeant(path)) continue;
    let lock: LockFile | undefined;
    try {
      const found = lstatSync(path);
      const isOurs = process.geteuid === undefined || found.uid === process.geteuid();
      if (isOurs && found.isDirectory()) lock = LockFile.tryAcquire(join(path, LOCK));
    } catch {
      continue;
    }
    if (lock !== undefined) yield { path, lock };
  }
}

function namesIn(parent: string): string[] {
  try {
    return readdirSync(parent);
  } catch {
    return [];
  }
}

function isWorkName(name: string, prefix: string): boolean {
  return name.startsWith(prefix) && WORK_NAME.test(name.slice(prefix.length));
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

const LOCK = "lock";
const OURS = ".js";
const WORK_NAME = /^[0-9a-z]{6}\.js$/;
const RANDOM_CHARACTERS = 6;
/** Leaves room in the 255 bytes of a name for what goes around this one. */
const LONGEST_NAME = 200;
const ATTEMPTS = 64;
