import { lstatSync } from "node:fs";
import { join } from "node:path";
import { OciError } from "../errors.js";
import { codeOf } from "./failure.js";
import { DiskFile } from "./file.js";

/**
 * The files of an OCI image layout in a directory. The directory itself may be reached through symbolic
 * links; what lies below it is not.
 */
export class LayoutFolder {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** Returns where a file lies; `name` has `/` between its components. */
  path(name: string): string {
    return join(this.root, name);
  }

  /** Opens a regular file; `undefined` if it is missing. A link below the root is refused. */
  open(name: string): DiskFile | undefined {
    try {
      this.checkDirectories(name.split("/").slice(0, -1));
      return DiskFile.open(this.path(name));
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      if (codeOf(error) === "ELOOP" || codeOf(error) === "EINVAL") throw irregular(this.path(name), error);
      throw error;
    }
  }

  /** Reads the first `limit` bytes of a regular file; `undefined` if it is missing. */
  async read(name: string, limit: number): Promise<Uint8Array | undefined> {
    const file = this.open(name);
    if (file === undefined) return undefined;
    try {
      return await file.readAt(0, Math.min(limit, file.length));
    } finally {
      file.close();
    }
  }

  /** Refuses links where the layout has directories. */
  checkDirectories(components: readonly string[]): void {
    components.forEach((_, index) => {
      const path = join(this.root, ...components.slice(0, index + 1));
      if (!lstatSync(path).isDirectory()) throw irregular(path);
    });
  }
}


function irregular(path: string, cause?: unknown): OciError {
  const message = `${path} is not the regular file or directory that a layout has there`;
  return new OciError("irregular-file", message, {
    errorClass: "refused",
    advice: "copy the layout with links resolved, for example by cp -RL, or choose another directory",
    cause,
  });
}

export const MARKER_FILE = "oci-layout";
export const INDEX_FILE = "index.json";
/** Whoever replaces `index.json` holds it. */
export const LOCK_FILE = "index.json.lock";
export const BLOBS = "blobs";

/** The most of an `oci-layout` file that is read; it holds one version. */
export const MARKER_BYTES = 64 << 10;
