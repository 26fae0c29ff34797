import { homedir } from "node:os";
import { basename, dirname, join, resolve, sep } from "node:path";
import process from "node:process";
import { lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmdirSync, statSync } from "node:fs";
import { OciError, type ErrorCode } from "../errors.js";
import { codeOf, diskError, isRefusal, onDisk } from "../disk/failure.js";
import { shown } from "../disk/path.js";
import { prefixOf } from "../disk/work.js";

/** A destination by a name in a directory that exists, and the rules for what stands there already. */
export class Place {
  readonly parent: string;
  readonly name: string;

  private constructor(parent: string, name: string) {
    this.parent = parent;
    this.name = name;
  }

  /** Finds the parent, or makes it. */
  static beside(path: string, created: CreatedParents): Place {
    const absolute = resolve(path);
    const name = basename(absolute);
    if (name === "") throw refused("destination-protected", absolute, "is the root of the file system");
    // `.` and `..` name a directory that has another name elsewhere.
    const typed = path.split(sep).filter((part) => part !== "").at(-1);
    if (typed === undefined || typed === "." || typed === "..") {
      const real = realpath(absolute);
      return new Place(dirname(real), basename(real));
    }
    created.create(dirname(absolute));
    return new Place(realpath(dirname(absolute)), name);
  }

  /** Finds the directory that will be filled, through a symbolic link too, or makes it. */
  static inside(path: string, created: CreatedParents): Place {
    created.create(resolve(path));
    const real = realpath(resolve(path));
    if (!lstatSync(real).isDirectory()) throw refused("destination-not-directory", real, "is not a directory");
    return new Place(dirname(real), basename(real));
  }

  get path(): string {
    return join(this.parent, this.name);
  }

  /** What the names of work directories beside it begin with. */
  get prefix(): string {
    return prefixOf(this.name);
  }

  /** Refuses everything but nothing and an empty directory. */
  mustBeFree(): void {
    const standing = this.#standing();
    if (standing === "nothing") return;
    if (standing !== "directory") throw refused("destination-not-directory", this.path, "is not a directory");
    this.mustBeEmpty();
    this.#mustBeReplaceable();
  }

  /** Tells whether something has to be swapped away, and refuses what never is. */
  mayBeReplaced(): boolean {
    switch (this.#standing()) {
      case "nothing":
        return false;
      case "directory":
        this.#mustBeReplaceable();
        return isOccupied(this.path);
      case "file":
        this.#mustBeRenameable();
        return true;
      case "other":
        throw refused("destination-not-directory", this.path, "is not a directory");
    }
  }

  /** Refuses a directory that something is in. */
  mustBeEmpty(): void {
    if (isOccupied(this.path)) throw refused("destination-not-empty", this.path, "is not empty");
  }

  /** Says why nothing could be made beside it. */
  noPlace(error: unknown): OciError {
    return isRefusal(error) ? parentUnwritable(this.parent, error) : diskError("create directory", this.parent, error);
  }

  /** Says why the finished tree could not get its name. */
  notRenamed(error: unknown): OciError {
    switch (codeOf(error)) {
      case "ENOTEMPTY":
      case "EEXIST":
        return refused("destination-not-empty", this.path, "is not empty", error);
      case "ENOTDIR":
        return refused("destination-not-directory", this.path, "is not a directory", error);
      case "EBUSY":
        return refused("destination-mount-point", this.path, "is a mount point", error);
      default:
        return diskError("rename", this.path, error);
    }
  }

  #standing(): "nothing" | "directory" | "file" | "other" {
    const found = onDisk("inspect", this.path, () => lstatSync(this.path, { throwIfNoEntry: false }));
    if (found === undefined) return "nothing";
    if (found.isSymbolicLink()) throw refused("destination-symlink", this.path, "is a symbolic link");
    if (found.dev !== statSync(this.parent).dev || isMountPoint(this.path)) {
      throw refused("destination-mount-point", this.path, "is a mount point");
    }
    return found.isDirectory() ? "directory" : found.isFile() ? "file" : "other";
  }

  #mustBeReplaceable(): void {
    const holds = (inner: string): boolean => isOrHolds(this.path, inner);
    const what = holds("/")
      ? "is the root of the file system"
      : holds(process.cwd())
        ? "is or holds the working directory"
        : holds(homedir())
          ? "is or holds the home folder"
          : undefined;
    if (what !== undefined) throw refused("destination-protected", this.path, what);
    this.#mustBeRenameable();
  }

  /** Refuses what belongs to another in a parent like `/tmp`, in which only owners rename what stands there. */
  #mustBeRenameable(): void {
    const user = process.geteuid?.() ?? 0;
    const parent = statSync(this.parent);
    const owners = [lstatSync(this.path).uid, parent.uid];
    if (user !== 0 && (parent.mode & STICKY) !== 0 && !owners.includes(user)) {
      throw parentUnwritable(this.parent, new Error("what stands there belongs to another user"));
    }
  }
}

/** Directories made on the way to a destination. */
export class CreatedParents {
  #made: string[] = [];

  create(directory: string): void {
    const missing: string[] = [];
    for (let at = directory; !isThere(at); at = dirname(at)) missing.push(at);
    for (const at of missing.reverse()) {
      try {
        mkdirSync(at);
        this.#made.push(at);
      } catch (error) {
        if (codeOf(error) === "EEXIST") continue;
        throw isRefusal(error) ? parentUnwritable(dirname(at), error) : diskError("create directory", at, error);
      }
    }
  }

  keep(): void {
    this.#made = [];
  }

  /** Removes them again; one stays if somebody else has put something in it. */
  remove(): void {
    for (const directory of this.#made.reverse()) {
      try {
        rmdirSync(directory);
      } catch {
        break;
      }
    }
    this.#made = [];
  }
}

function isThere(path: string): boolean {
  return path === dirname(path) || statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function realpath(path: string): string {
  return onDisk("inspect", path, () => realpathSync.native(path));
}

/** Tells whether something is in a directory. One that cannot be read may hold anything. */
function isOccupied(directory: string): boolean {
  try {
    return readdirSync(directory).length > 0;
  } catch {
    return true;
  }
}

/** Tells whether `inner` is `outer`, or lies below it, whatever names lead to them. */
function isOrHolds(outer: string, inner: string): boolean {
  try {
    const { dev, ino } = lstatSync(outer, { bigint: true });
    for (let at = realpathSync.native(inner); ; at = dirname(at)) {
      const found = lstatSync(at, { bigint: true });
      if (at === outer || (found.dev === dev && found.ino === ino)) return true;
      if (at === dirname(at)) return false;
    }
  } catch {
    return false;
  }
}

/** A bind mount can have its parent's device; only Linux tells. */
function isMountPoint(path: string): boolean {
  try {
    const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
    return mounts.some((line) => unescaped(line.split(" ")[4] ?? "") === path);
  } catch {
    return false;
  }
}

/** The kernel writes spaces and the like in octal. */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

function parentUnwritable(parent: string, error: unknown): OciError {
  return new OciError("parent-unwritable", `cannot write to ${shown(parent)}, the parent of the destination`, {
    errorClass: "local",
    advice: "choose a destination whose parent you may write to, or fill an existing empty directory with inPlace",
    cause: error,
  });
}

function refused(code: keyof typeof ADVICE & ErrorCode, path: string, what: string, cause?: unknown): OciError {
  return new OciError(code, `the destination ${shown(path)} ${what}`, {
    errorClass: code === "destination-mount-point" ? "local" : "usage",
    advice: ADVICE[code],
    cause,
  });
}

const ADVICE = {
  "destination-not-empty": "choose another directory, or replace this one with force",
  "destination-not-directory": "choose another destination, or replace a regular file with force",
  "destination-symlink": "name the directory itself that the link leads to",
  "destination-protected": "choose another directory, or fill an empty one with inPlace",
  "destination-mount-point": "fill it with inPlace, or choose a directory below it",
} as const;

const STICKY = 0o1000;
