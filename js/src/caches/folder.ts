import { createHash } from "node:crypto";
import { futimesSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import process, { platform } from "node:process";
import { setTimeout } from "node:timers";
import type { BlobCache, CachedBlob } from "../cache.js";
import { codeOf } from "../disk/failure.js";
import { DiskFile } from "../disk/file.js";
import { LockFile } from "../disk/lock.js";
import { randomName } from "../disk/work.js";
import { OciError } from "../errors.js";
import { cacheError, PartialBlob, remove, StoredBlob } from "./partial.js";

/**
 * Keeps blobs in a folder, in the format of the native program, which can use it at the same time.
 *
 * ```text
 * blobs/<algorithm>/<encoded>     whole and verified; hashed again whenever they are used
 * partial/<algorithm>-<encoded>   the beginning of a blob; owned through <name>.lock
 * partial/.tmp-XXXXXX             a small file on its way to its name
 * tags/<sha256 of the reference>  reference, digest and time, as JSON
 * ```
 *
 * Without a path it is the native program's own folder: `$XDG_CACHE_HOME/oci-fetcher` or the platform's
 * place.
 *
 * ```js
 * const client = new Client({ cache: folderCache("/var/cache/images") });
 * ```
 */
export function folderCache(path?: string): BlobCache {
  return new FolderCache(path ?? defaultRoot());
}

/** Returns the native program's folder. */
function defaultRoot(): string {
  const folder = (name: string): string | undefined => {
    const value = process.env[name];
    return value !== undefined && isAbsolute(value) ? value : undefined;
  };
  const home = process.env["HOME"] === undefined ? homedir() : folder("HOME");
  const below = platform === "darwin" ? "Library/Caches" : ".cache";
  const base =
    platform === "win32"
      ? folder("LOCALAPPDATA")
      : (folder("XDG_CACHE_HOME") ?? (home === undefined ? undefined : join(home, below)));
  if (base !== undefined) return join(base, "oci-fetcher");
  throw new OciError("no-cache-place", "there is no home folder for a cache", {
    errorClass: "local",
    advice: "name a folder with folderCache(path), or use cache: false",
  });
}

class FolderCache implements BlobCache {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async read(digest: string, limit: number): Promise<Uint8Array | undefined> {
    return this.#guarded("read", this.#blobPath(digest), async (path) => {
      const file = this.#open(path);
      if (file === undefined) return undefined;
      try {
        const { length } = file;
        return length <= limit ? await file.readExactly(0, length) : undefined;
      } finally {
        file.close();
      }
    });
  }

  async keep(digest: string, bytes: Uint8Array): Promise<void> {
    await this.#write(this.#blobPath(digest), bytes);
  }

  async open(digest: string, size: number): Promise<CachedBlob> {
    const path = this.#partialPath(digest);
    return this.#guarded("open", path, async () => {
      const begun = performance.now();
      for (;;) {
        const whole = this.#whole(digest);
        if (whole !== undefined) return whole;
        mkdirSync(this.#partials, PRIVATE);
        const lock = LockFile.tryAcquire(`${path}.lock`);
        if (lock !== undefined) return this.#begin(digest, size, path, lock);
        if (performance.now() - begun >= PATIENCE) return this.#beginPrivately(digest);
        await new Promise((resolve) => setTimeout(resolve, POLL));
      }
    });
  }

  async discard(digest: string): Promise<void> {
    return this.#guarded("remove", this.#blobPath(digest), async (path) => remove(path));
  }

  async recall(reference: string): Promise<string | undefined> {
    return this.#guarded("read", this.#recordPath(reference), async (path) => {
      const file = this.#open(path);
      if (file === undefined) return undefined;
      try {
        const record = parsed(await file.readAt(0, RECORD_BYTES));
        return record?.reference === reference ? digestOf(record.digest) : undefined;
      } finally {
        file.close();
      }
    });
  }

  async remember(reference: string, digest: string): Promise<void> {
    const record = { reference, digest, time: Math.floor(Date.now() / 1_000) };
    await this.#write(this.#recordPath(reference), new TextEncoder().encode(JSON.stringify(record)));
  }

  #blobPath(digest: string): string {
    const { algorithm, encoded } = partsOf(digest);
    return join(this.#root, "blobs", algorithm, encoded);
  }

  #blobTarget(digest: string): string {
    const path = this.#blobPath(digest);
    mkdirSync(dirname(path), PRIVATE);
    return path;
  }

  get #partials(): string {
    return join(this.#root, "partial");
  }

  #partialPath(digest: string): string {
    const { algorithm, encoded } = partsOf(digest);
    return join(this.#partials, `${algorithm}-${encoded}`);
  }

  #recordPath(reference: string): string {
    return join(this.#root, "tags", createHash("sha256").update(reference).digest("hex"));
  }

  #whole(digest: string): CachedBlob | undefined {
    const file = this.#open(this.#blobPath(digest));
    return file === undefined ? undefined : new StoredBlob(file, () => remove(this.#blobPath(digest)));
  }

  /** Opens a file that may be missing, and notes that it was used. */
  #open(path: string): DiskFile | undefined {
    let file: DiskFile;
    try {
      file = DiskFile.open(path);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
    try {
      const now = Date.now() / 1_000;
      futimesSync(file.descriptor, now, now);
    } catch {
      // Only the order of pruning depends on it.
    }
    return file;
  }

  #begin(digest: string, size: number, path: string, lock: LockFile): CachedBlob {
    try {
      // It may have been finished between the look and the lock.
      const whole = this.#whole(digest);
      if (whole !== undefined) {
        lock.release();
        return whole;
      }
      const file = this.#beginning(path, size);
      return new PartialBlob({ file, path, lock, name: "shared", target: () => this.#blobTarget(digest) });
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  #beginning(path: string, size: number): DiskFile {
    try {
      const file = DiskFile.open(path, "append");
      if (file.length <= size && file.stat().nlink === 1n) return file;
      file.close();
    } catch (error) {
      if (codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT") throw error;
    }
    // Longer than the blob, a symlink, another file's second name or something stranger: no beginning of
    // it, and nothing to append to.
    remove(path);
    return DiskFile.open(path, "append");
  }

  /** Begins under a name of its own, since another process works on the same blob. */
  #beginPrivately(digest: string): CachedBlob {
    this.#reclaim();
    const path = `${this.#partialPath(digest)}.${randomName()}`;
    const lock = LockFile.tryAcquire(`${path}.lock`);
    if (lock === undefined) throw Object.assign(new Error("the name is taken"), { code: "EEXIST" });
    try {
      const file = DiskFile.create(path);
      return new PartialBlob({ file, path, lock, name: "private", target: () => this.#blobTarget(digest) });
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Removes private downloads of killed processes. */
  #reclaim(): void {
    for (const name of readdirSync(this.#partials)) {
      if (!PRIVATE_NAME.test(name)) continue;
      const path = join(this.#partials, name);
      const lock = LockFile.tryAcquire(`${path}.lock`);
      if (lock === undefined) continue;
      remove(path);
      lock.release();
    }
  }

  /** Writes a whole file under its name or not at all. */
  async #write(path: string, bytes: Uint8Array): Promise<void> {
    await this.#guarded("write", path, async () => {
      mkdirSync(dirname(path), PRIVATE);
      mkdirSync(this.#partials, PRIVATE);
      for (let attempt = 0; ; attempt += 1) {
        const temporary = join(this.#partials, `.tmp-${randomName()}`);
        const file = DiskFile.create(temporary);
        try {
          file.writeSync(bytes, 0);
          await file.sync("content");
          renameSync(temporary, path);
          return;
        } catch (error) {
          // The native program takes a file without its lock for a dead process's, and removes it.
          if (codeOf(error) !== "ENOENT" || attempt >= ATTEMPTS) {
            remove(temporary);
            throw error;
          }
        } finally {
          file.close();
        }
      }
    });
  }

  async #guarded<T>(operation: string, path: string, work: (path: string) => Promise<T>): Promise<T> {
    try {
      return await work(path);
    } catch (error) {
      throw cacheError(operation, path, error);
    }
  }
}

/** Takes a digest apart. The core has parsed it; what is not a digest must not become a path all the same. */
function partsOf(digest: string): { algorithm: string; encoded: string } {
  const [, algorithm, encoded] = DIGEST.exec(digest) ?? [];
  if (algorithm !== undefined && encoded !== undefined) return { algorithm, encoded };
  throw new OciError("malformed-digest", "a digest is an algorithm, a colon and its encoded value", { errorClass: "usage" });
}

function parsed(bytes: Uint8Array): { readonly reference?: unknown; readonly digest?: unknown } | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as { reference?: unknown; digest?: unknown };
  } catch {
    return undefined;
  }
}

/** Returns what a record says, if that is a digest: another answer could be none. */
function digestOf(text: unknown): string | undefined {
  return typeof text === "string" && /^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$/.test(text) ? text : undefined;
}

const DIGEST = /^([a-z0-9]+(?:[+._-][a-z0-9]+)*):([A-Za-z0-9=_-]+)$/;
const PRIVATE_NAME = /^[^.].*\.[0-9a-z]{6}$/;
/** A folder that only its owner may look into. */
const PRIVATE = { recursive: true, mode: 0o700 } as const;
/** A record is some hundred bytes. */
const RECORD_BYTES = 64 << 10;
/** How long a download that another process works on is waited for, before it is done here too. */
const PATIENCE = 10_000;
const POLL = 50;
const ATTEMPTS = 10;
