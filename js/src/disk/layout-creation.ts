import { mkdirSync, readdirSync, rmdirSync, statSync, unlinkSync, lstatSync } from "node:fs";
import { dirname, join } from "node:path";
import { codeOf } from "./failure.js";
import { BLOBS, LOCK_FILE, MARKER_FILE, type LayoutFolder } from "./layout-folder.js";

/** What a writer of a layout brought into being, and removes again if nothing comes of it. */
export class LayoutCreation {
  /** Directories from the outermost to the layout itself. */
  #directories: string[] = [];
  /** Whether this writer made a layout of the directory. */
  isLayoutNew = false;
  /** Blobs that were not there before. */
  readonly blobs = new Set<string>();

  /** Creates a directory and those above it that are missing; tells whether a directory stands there. */
  begin(root: string): boolean {
    const missing: string[] = [];
    for (let at = root; lstatSync(at, { throwIfNoEntry: false }) === undefined; at = dirname(at)) missing.push(at);
    for (const path of missing.reverse()) {
      try {
        mkdirSync(path);
        this.#directories.push(path);
      } catch (error) {
        if (codeOf(error) !== "EEXIST") throw error;
      }
    }
    return statSync(root, { throwIfNoEntry: false })?.isDirectory() === true;
  }

  /** Forgets it: it is there to stay. */
  complete(): void {
    this.#directories = [];
    this.isLayoutNew = false;
    this.blobs.clear();
  }

  /**
   * Removes the layout's files, if all of them are this writer's and none is `index.json`. The marker goes
   * last, so that what a kill leaves is still a layout.
   */
  undoContent(folder: LayoutFolder): void {
    if (!this.#isAllThereIs(folder)) return;
    for (const path of this.blobs) attempt(() => unlinkSync(path));
    for (const name of listed(folder.path(BLOBS))) attempt(() => rmdirSync(join(folder.path(BLOBS), name)));
    // Fails, as it should, if somebody has begun to use it.
    const removed = attempt(() => rmdirSync(folder.path(BLOBS)));
    if (removed === undefined || removed === "ENOENT") attempt(() => unlinkSync(folder.path(MARKER_FILE)));
  }

  /** Removes the directories that nothing is in. */
  undoDirectories(): void {
    for (const path of this.#directories.reverse()) attempt(() => rmdirSync(path));
    this.#directories = [];
  }

  #isAllThereIs(folder: LayoutFolder): boolean {
    if (!listed(folder.root).every((name) => [MARKER_FILE, BLOBS, LOCK_FILE].includes(name))) return false;
    return listed(folder.path(BLOBS)).every((algorithm) => {
      const directory = join(folder.path(BLOBS), algorithm);
      return listed(directory).every((name) => this.blobs.has(join(directory, name)));
    });
  }
}

/** Lists a directory; one that is missing is empty. */
function listed(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Does something that may fail, and returns the system's name of the failure. */
function attempt(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return codeOf(error) ?? "unknown";
  }
}
