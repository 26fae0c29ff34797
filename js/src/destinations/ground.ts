import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { platform } from "node:process";
import { onDisk } from "../disk/failure.js";
import { syncDirectory } from "../disk/file.js";
import { removeContents, removeTree } from "../disk/remove.js";
import { ANONYMOUS, deadIn, reclaim, WorkDirectory } from "../disk/work.js";
import { CreatedParents, Place } from "./place.js";

/** Where a tree is put together, and how it gets to its destination. */
export interface Ground {
  /** The directory for the tree: private and empty. */
  readonly root: string;
  /** The directory for layers' contents, on the same file system. */
  readonly packs: string;
  readonly destination: string;
  /** Gives the tree its name; `finish` sets the root's attributes when nothing changes them any more. */
  land(finish: (root: string) => void): Promise<void>;
  /** Removes everything that was made. */
  clear(): Promise<void>;
}

/** Begins beside the destination, which then appears by one rename, or is swapped if `force`. */
export async function beginBeside(path: string, force: boolean): Promise<Ground> {
  const created = new CreatedParents();
  try {
    const place = Place.beside(path, created);
    await reclaim(place.parent, place.prefix, place.path);
    const isReplaced = force && place.mayBeReplaced();
    if (!isReplaced) place.mustBeFree();
    const work = workIn(place, place.parent, place.prefix);
    return await orRemove(work, () => new Beside(place, isReplaced, created, work));
  } catch (error) {
    created.remove();
    throw error;
  }
}

class Beside implements Ground {
  readonly root: string;
  readonly packs: string;
  readonly #place: Place;
  readonly #isReplaced: boolean;
  readonly #created: CreatedParents;
  readonly #work: WorkDirectory;

  constructor(place: Place, isReplaced: boolean, created: CreatedParents, work: WorkDirectory) {
    this.#place = place;
    this.#isReplaced = isReplaced;
    this.#created = created;
    this.#work = work;
    this.root = privateDirectory(work.within("root"));
    this.packs = privateDirectory(work.within("packs"));
  }

  get destination(): string {
    return this.#place.path;
  }

  async land(finish: (root: string) => void): Promise<void> {
    // A directory that its owner may not write to cannot change its parent, but be renamed within it:
    // so it leaves the work directory before it gets its own mode.
    const tree = this.#work.beside("new");
    onDisk("rename", this.root, () => renameSync(this.root, tree));
    await removeTree(this.packs);
    finish(tree);
    try {
      if (this.#isReplaced) this.#swap(tree);
      else this.#appear(tree);
    } catch (error) {
      throw this.#place.notRenamed(error);
    }
    this.#created.keep();
    await syncDirectory(this.#place.parent);
    // The destination is complete; what cannot be removed now is removed by the next run.
    await this.#work.remove().catch(() => undefined);
  }

  async clear(): Promise<void> {
    try {
      await this.#work.remove();
    } finally {
      this.#created.remove();
    }
  }

  #appear(tree: string): void {
    // There, nothing is renamed over a directory.
    if (platform === "win32" && statSync(this.destination, { throwIfNoEntry: false })) rmdirSync(this.destination);
    renameSync(tree, this.destination);
  }

  #swap(tree: string): void {
    const old = this.#work.beside("old");
    renameSync(this.destination, old);
    try {
      renameSync(tree, this.destination);
    } catch (error) {
      renameSync(old, this.destination);
      throw error;
    }
  }
}

/** Begins in the destination itself, an empty directory. */
export async function beginInPlace(path: string): Promise<Ground> {
  const created = new CreatedParents();
  try {
    const place = Place.inside(path, created);
    const root = place.path;
    for (const { path: work, lock } of deadIn(root, ANONYMOUS, isMarked)) {
      await removeContents(root, basename(work));
      await removeTree(work);
      lock.release();
    }
    place.mustBeEmpty();
    const before = statSync(root);
    // Fails here, and not after the download, if the directory is somebody else's.
    onDisk("set the permissions of", root, () => chmodSync(root, 0o700));
    try {
      const work = workIn(place, root, ANONYMOUS);
      return await orRemove(work, () => new InPlace(root, before, created, work));
    } catch (error) {
      chmodSync(root, before.mode & 0o7777);
      throw error;
    }
  } catch (error) {
    created.remove();
    throw error;
  }
}

class InPlace implements Ground {
  readonly root: string;
  readonly packs: string;
  readonly #created: CreatedParents;
  readonly #work: WorkDirectory;
  /** What the directory was before, for the case that nothing comes of it. */
  readonly #before: { readonly mode: number; readonly mtime: Date };

  constructor(
    root: string,
    before: { readonly mode: number; readonly mtime: Date },
    created: CreatedParents,
    work: WorkDirectory,
  ) {
    this.root = root;
    this.#before = before;
    this.#created = created;
    this.#work = work;
    onDisk("create file", root, () => writeFileSync(work.within(MARK), identityOf(work.path)));
    this.packs = privateDirectory(work.within("packs"));
  }

  get destination(): string {
    return this.root;
  }

  async land(finish: (root: string) => void): Promise<void> {
    await this.#work.remove();
    finish(this.root);
    this.#created.keep();
    await syncDirectory(this.root);
  }

  async clear(): Promise<void> {
    try {
      // The mark goes last: as long as it is there, the rest is known to be ours.
      await removeContents(this.root, basename(this.#work.path));
      await this.#work.remove();
      chmodSync(this.root, this.#before.mode & 0o7777);
      utimesSync(this.root, this.#before.mtime, this.#before.mtime);
    } finally {
      this.#created.remove();
    }
  }
}

/** Tells whether a killed run was filling the directory around this one. */
function isMarked(work: string): boolean {
  try {
    return readFileSync(join(work, MARK), "utf8") === identityOf(work);
  } catch {
    return false;
  }
}

/** Names a directory by what no archive can bring: its number on its device. */
function identityOf(directory: string): string {
  const { dev, ino } = lstatSync(directory, { bigint: true });
  return `${dev}:${ino}\n`;
}

function workIn(place: Place, parent: string, prefix: string): WorkDirectory {
  try {
    return WorkDirectory.create(parent, prefix);
  } catch (error) {
    throw place.noPlace(error);
  }
}

async function orRemove<T>(work: WorkDirectory, make: () => T): Promise<T> {
  try {
    return make();
  } catch (error) {
    await work.remove().catch(() => undefined);
    throw error;
  }
}

function privateDirectory(path: string): string {
  onDisk("create directory", path, () => mkdirSync(path, { mode: 0o700 }));
  return path;
}

const MARK = "filling";
