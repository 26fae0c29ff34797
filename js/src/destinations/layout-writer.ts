import { createHash } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, readdirSync, renameSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import type { BlobWriter } from "../destination.js";
import { codeOf } from "../disk/failure.js";
import { DiskFile, syncDirectory } from "../disk/file.js";
import { LayoutCreation } from "../disk/layout-creation.js";
import { BLOBS, INDEX_FILE, LayoutFolder, LOCK_FILE, MARKER_BYTES, MARKER_FILE } from "../disk/layout-folder.js";
import { LockFile } from "../disk/lock.js";
import { removeTree } from "../disk/remove.js";
import { ANONYMOUS, deadIn, randomName, WorkDirectory } from "../disk/work.js";
import type { Border, Engine } from "../engine.js";
import { OciError, type ErrorCode } from "../errors.js";
import { limitsOf } from "../settings.js";
import type { Descriptor, Limits } from "../types.js";

/**
 * Adds images to an OCI image layout, under the rules of the native program.
 *
 * ```text
 * oci-layout                   written first: a directory without it is no layout yet
 * blobs/<algorithm>/<encoded>  each renamed here once its bytes were verified
 * index.json                   replaced as a whole, under index.json.lock
 * .oci-fetcher-XXXXXX.js/      what is being written
 * ```
 */
export class LayoutWriter {
  readonly #engine: Engine;
  readonly #folder: LayoutFolder;
  readonly #indexBytes: number;
  readonly #signal: AbortSignal | undefined;
  readonly #creation: LayoutCreation;
  /** The blobs that are sure to hash to their names, with their sizes: written or hashed here. */
  readonly #verified = new Map<string, number>();
  /** Made when something is written; none is left between images. */
  #work: WorkDirectory | undefined;
  /** The permissions of finished files: as the process's umask has them. */
  #mode = 0o644;
  #written = 0;

  /** Opens or begins a layout; everything that is wrong with it shows here. */
  static async open(
    engine: Engine,
    root: string,
    limits: Partial<Limits>,
    signal: AbortSignal | undefined,
  ): Promise<LayoutWriter> {
    const { manifestBytes } = await limitsOf(limits);
    for (let attempt = 1; ; attempt += 1) {
      const writer = new LayoutWriter(engine, new LayoutFolder(root), manifestBytes + 1, signal);
      try {
        await writer.#begin();
        return writer;
      } catch (error) {
        await writer.abandon().catch(() => undefined);
        // Another process may have created the directory, failed, and removed it again.
        const isChanging = error instanceof OciError && error.code === "layout-changed";
        if (!isChanging || attempt >= ATTEMPTS) throw error;
      }
    }
  }

  private constructor(engine: Engine, folder: LayoutFolder, indexBytes: number, signal: AbortSignal | undefined) {
    this.#engine = engine;
    this.#folder = folder;
    this.#indexBytes = indexBytes;
    this.#signal = signal;
    this.#creation = new LayoutCreation();
  }

  /**
   * Tells whether a blob is in place already. Other tools write layouts too, so it is hashed; what is not
   * the blob, whatever it is, counts as missing and is replaced.
   */
  async verifyExisting({ digest, size }: Descriptor): Promise<boolean> {
    if (!this.#has(digest, size)) return false;
    if (this.#verified.get(digest) === size) return true;
    const algorithm = digest.slice(0, digest.indexOf(":"));
    if (!HASHED.includes(algorithm)) return false;
    const path = this.#pathOf(digest);
    return this.#guarded("read", path, async () => {
      const file = DiskFile.open(path);
      const hash = createHash(algorithm);
      try {
        for await (const piece of file.pieces(0, size)) hash.update(piece);
      } finally {
        file.close();
      }
      const isRight = `${algorithm}:${hash.digest("hex")}` === digest;
      if (isRight) this.#verified.set(digest, size);
      return isRight;
    });
  }

  /** Begins a blob, which the caller verifies before it commits. */
  begin({ digest, size }: Descriptor): BlobWriter {
    const path = this.#pathOf(digest);
    const temporary = this.#temporary();
    let length = 0;
    let file: DiskFile | undefined = this.#onDisk("create a file in", this.#folder.root, () => DiskFile.create(temporary));
    const end = (): void => {
      file?.close();
      file = undefined;
    };
    return {
      write: (chunk) =>
        this.#guarded("write", path, async () => {
          await file?.write(chunk, length);
          length += chunk.length;
        }),
      commit: () =>
        this.#guarded("write", path, async () => {
          await file?.sync("all");
          end();
          chmodSync(temporary, this.#mode);
          this.#makeDirectory(digest);
          const isNew = lstatSync(path, { throwIfNoEntry: false }) === undefined;
          renameSync(temporary, path);
          if (isNew) this.#creation.blobs.add(path);
          this.#verified.set(digest, size);
        }),
      abort: async () => {
        if (file === undefined) return;
        end();
        unlinkSync(temporary);
      },
    };
  }

  /** Names an image whose blobs are in place; other entries survive, names that they have move here. */
  async publish(top: Descriptor, names: GivenNames): Promise<string[]> {
    const lockPath = this.#folder.path(LOCK_FILE);
    const locked = (): OciError =>
      layoutError("layout-locked", "local", `another process holds ${lockPath}`, "wait until it has finished, and try again");
    const lock = await this.#guarded("create", lockPath, () => LockFile.acquire(lockPath, PATIENCE, this.#signal));
    if (lock === undefined) throw locked();
    try {
      await this.#ensureMarker();
      await this.#checkInPlace();
      const existing = await this.#readIndex();
      const { index, warning } = this.#merge(existing, top, this.#namesOf(names));
      if (existing === undefined || new TextDecoder().decode(existing) !== index) {
        if (!lock.isHeld()) throw locked();
        await this.#replaceIndex(index);
      }
      this.#creation.complete();
      await this.#removeWork();
      return warning === undefined ? [] : [warning];
    } finally {
      lock.release();
    }
  }

  /** Ends; removes what was created, unless an image was named or somebody else uses it. */
  async abandon(): Promise<void> {
    await this.#removeWork();
    if (this.#creation.isLayoutNew) {
      // Whoever holds the lock is about to use the layout.
      const lock = LockFile.tryAcquire(this.#folder.path(LOCK_FILE));
      try {
        if (lock !== undefined) this.#creation.undoContent(this.#folder);
        // Another writer has begun to use it.
        if (lstatSync(this.#folder.path(BLOBS), { throwIfNoEntry: false })) await this.#ensureMarker();
      } finally {
        lock?.release();
      }
    }
    this.#creation.undoDirectories();
  }

  async #removeWork(): Promise<void> {
    const work = this.#work;
    this.#work = undefined;
    await work?.remove();
  }

  async #begin(): Promise<void> {
    const { root } = this.#folder;
    if (!this.#onDisk("create", root, () => this.#creation.begin(root))) {
      throw layoutError("not-a-directory", "usage", `${root} is not a directory`, OTHER_DIRECTORY);
    }
    // Looked at before the marker, which other writers write first and remove last.
    const wasVacant = this.#isVacant();
    const marker = await this.#guarded("read", root, () => this.#folder.read(MARKER_FILE, MARKER_BYTES));
    if (marker !== undefined) this.#engine.call((border) => border.checkLayoutMarker(marker));
    else if (wasVacant) this.#creation.isLayoutNew = true;
    else if (this.#isVacant()) throw removed(this.#folder.path(MARKER_FILE));
    else throw layoutError("not-a-layout", "usage", `${root} is neither empty nor an OCI image layout`, OTHER_DIRECTORY);
    this.#mode = 0o644 & ~process.umask();
    await this.#ensureMarker();
    for (const { path, lock } of deadIn(root, ANONYMOUS)) {
      await removeTree(path).catch(() => undefined);
      lock.release();
    }
    const index = await this.#readIndex();
    if (index !== undefined) this.#merge(index, PROBE, {});
  }

  /** Tells whether a directory holds nothing but what killed exports leave behind. */
  #isVacant(): boolean {
    const names = this.#onDisk("list", this.#folder.root, () => readdirSync(this.#folder.root));
    return names.every((name) => name === LOCK_FILE || TEMPORARY.test(name));
  }

  /**
   * Makes a layout of the directory, if it is none.
   *
   * The file's first name is one that the native program gives, so that the directory counts as vacant for
   * it; if it takes it for a dead process's and removes it, another is written.
   */
  async #ensureMarker(): Promise<void> {
    const path = this.#folder.path(MARKER_FILE);
    for (let attempt = 1; lstatSync(path, { throwIfNoEntry: false }) === undefined; attempt += 1) {
      const temporary = join(this.#folder.root, `${ANONYMOUS}${randomName()}`);
      await this.#guarded("write", path, async () => {
        const file = DiskFile.create(temporary);
        try {
          file.writeSync(this.#engine.call((border) => border.layoutMarker()), 0);
          await file.sync("all");
          chmodSync(temporary, this.#mode);
          renameSync(temporary, path);
        } catch (error) {
          if (codeOf(error) !== "ENOENT" || attempt >= ATTEMPTS) throw error;
        } finally {
          file.close();
        }
      });
    }
  }

  /**
   * Checks, under the lock, that nobody has removed what an image of this writer may need, and makes it
   * durable before it is named.
   */
  async #checkInPlace(): Promise<void> {
    const directories = new Set([this.#folder.path(BLOBS)]);
    for (const [digest, size] of this.#verified) {
      if (!this.#has(digest, size)) throw removed(this.#pathOf(digest));
      directories.add(dirname(this.#pathOf(digest)));
    }
    for (const directory of directories) await syncDirectory(directory);
  }

  async #readIndex(): Promise<Uint8Array | undefined> {
    // One byte too many is enough for the core to refuse it.
    return this.#guarded("read", this.#folder.path(INDEX_FILE), () => this.#folder.read(INDEX_FILE, this.#indexBytes));
  }

  async #replaceIndex(index: string): Promise<void> {
    const path = this.#folder.path(INDEX_FILE);
    await this.#guarded("write", path, async () => {
      const temporary = this.#temporary();
      const file = DiskFile.create(temporary);
      try {
        file.writeSync(new TextEncoder().encode(index), 0);
        await file.sync("all");
      } finally {
        file.close();
      }
      chmodSync(temporary, this.#mode);
      renameSync(temporary, path);
      await syncDirectory(this.#folder.root);
    });
  }

  #merge(existing: Uint8Array | undefined, top: Descriptor, names: Names): { index: string; warning?: string } {
    const { mediaType, digest, size } = top;
    return JSON.parse(
      this.#engine.call((border) =>
        border.layoutMerge(existing, JSON.stringify({ mediaType, digest, size }), JSON.stringify(names)),
      ),
    ) as { index: string; warning?: string };
  }

  #namesOf({ typed, refName }: GivenNames): Names {
    const normalised = (border: Border): string =>
      (JSON.parse(border.parseReference(typed ?? "")) as { readonly normalised: string }).normalised;
    return {
      ...(refName !== undefined && { refName }),
      ...(typed !== undefined && { containerd: this.#engine.call(normalised) }),
    };
  }

  #has(digest: string, size: number): boolean {
    try {
      const file = this.#folder.open(this.#engine.call((border) => border.blobPath(digest)));
      const found = file?.length;
      file?.close();
      return found === size;
    } catch {
      return false;
    }
  }

  #pathOf(digest: string): string {
    return this.#folder.path(this.#engine.call((border) => border.blobPath(digest)));
  }

  #temporary(): string {
    const { root } = this.#folder;
    this.#work ??= this.#onDisk("create a directory in", root, () => WorkDirectory.create(root, ANONYMOUS));
    this.#written += 1;
    return this.#work.within(String(this.#written));
  }

  #makeDirectory(digest: string): void {
    const components = this.#engine.call((border) => border.blobPath(digest)).split("/").slice(0, -1);
    components.forEach((_, index) => {
      try {
        mkdirSync(join(this.#folder.root, ...components.slice(0, index + 1)));
      } catch (error) {
        if (codeOf(error) !== "EEXIST") throw error;
        this.#folder.checkDirectories(components.slice(0, index + 1));
      }
    });
  }

  #onDisk<T>(operation: string, path: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw explained(operation, path, error);
    }
  }

  async #guarded<T>(operation: string, path: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw explained(operation, path, error);
    }
  }
}

/** What names an image: its reference as it was typed, and the name that the layout lists. */
export interface GivenNames {
  readonly typed: string | undefined;
  readonly refName: string | undefined;
}

/** How the core is told names. */
interface Names {
  readonly refName?: string;
  readonly containerd?: string;
}

function explained(operation: string, path: string, error: unknown): unknown {
  if (error instanceof OciError) return error;
  const code = codeOf(error);
  // Everything was looked at or created before.
  if (code === "ENOENT") return removed(path, error);
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  const advice = isFull ? "free space, or choose another directory" : undefined;
  return layoutError(isFull ? "disk-full" : "layout-io", "local", `cannot ${operation} ${path}`, advice, error);
}

function removed(path: string, cause?: unknown): OciError {
  return layoutError("layout-changed", "local", `${path} was removed by another process`, "try again", cause);
}

function layoutError(
  code: ErrorCode,
  errorClass: OciError["errorClass"],
  message: string,
  advice: string | undefined,
  cause?: unknown,
): OciError {
  return new OciError(code, message, { errorClass, advice, cause });
}

/** An entry that is merged only to find out whether `index.json` can be added to. */
const PROBE: Descriptor = {
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  digest: `sha256:${"0".repeat(64)}`,
  size: 0,
};

const OTHER_DIRECTORY = "choose a new or empty directory, or one that is an OCI image layout";
const TEMPORARY = /^\.oci-fetcher-[0-9A-Za-z]{6}$/;
const HASHED: readonly string[] = ["sha256", "sha512"];
/** How often a destination that changes while it is looked at is looked at again. */
const ATTEMPTS = 5;
/** Naming an image takes milliseconds, so that a hundred others may go before. */
const PATIENCE = 30_000;
