import { mkdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Destination, MergedImage, Staging } from "../destination.js";
import { DirectoryFileSystem } from "../disk/file-system.js";
import { onDisk } from "../disk/failure.js";
import { refuseStrangeNames } from "../disk/names.js";
import { TreeWriter } from "../disk/tree-writer.js";
import { usage } from "../errors.js";
import type { LayerSpec, PackPlace } from "../layer.js";
import { useFilePacks } from "../packs/file.js";
import type { ImageFileSystem, Report } from "../types.js";
import { beginBeside, beginInPlace, type Ground } from "./ground.js";

/** How a directory is filled. */
export interface DirectoryOptions {
  /**
   * Replaces what stands there, but never `/`, the home folder, what holds the working directory, or a
   * symbolic link. Between two renames nothing stands there: runtimes have no call that swaps.
   */
  readonly force?: boolean;
  /** Fills an existing empty directory, and gives up that it is absent or complete at any moment. */
  readonly inPlace?: boolean;
}

/**
 * Unpacks into a directory, in Node, Deno and Bun.
 *
 * The tree is put together in a private place beside it and renamed at the end. As root, files have the
 * owners that the image gives them; what the runtime cannot set (extended attributes, devices, FIFOs,
 * nanoseconds) is in the result's report. Deviation from the native host: contents are not written
 * through to the device before the rename, as no runtime can do that for a whole tree.
 *
 * ```js
 * const image = await client.pull("debian:13", { to: directory("/srv/debian") });
 * console.log(image.counts.files, image.report.counts);
 * ```
 */
export function directory(path: string, options: DirectoryOptions = {}): Destination {
  const { force = false, inPlace = false } = options;
  if (force && inPlace) throw usage("a directory is either replaced (force) or filled in place, not both");
  useFilePacks();
  return {
    kind: "files",
    names: process.platform === "win32" ? "refuse" : undefined,
    begin: async ({ signal }) => new DirectoryStaging(await (inPlace ? beginInPlace(path) : beginBeside(path, force)), signal),
  };
}

class DirectoryStaging implements Staging {
  readonly #ground: Ground;
  readonly #signal: AbortSignal | undefined;
  #packs = 0;
  #report: Report = { skipped: [], counts: {} };

  constructor(ground: Ground, signal: AbortSignal | undefined) {
    this.#ground = ground;
    this.#signal = signal;
  }

  async find(): Promise<undefined> {
    return undefined;
  }

  place(_: LayerSpec): PackPlace {
    this.#packs += 1;
    return { kind: "file", path: join(this.#ground.packs, String(this.#packs)) };
  }

  async decoded(): Promise<void> {}

  async complete(image: MergedImage): Promise<ImageFileSystem> {
    const { tree, layers } = image;
    const ground = this.#ground;
    const scratch = join(ground.packs, "names");
    onDisk("create directory", scratch, () => mkdirSync(scratch));
    refuseStrangeNames(tree, scratch);
    const writer = new TreeWriter(ground.root, image);
    await writer.write(this.#signal);
    for (const { layer } of layers) layer.pack.close();
    await ground.land((root) => (this.#report = writer.finish(root).report()));
    return new DirectoryFileSystem(ground.destination, tree);
  }

  report(): Report {
    return this.#report;
  }

  abort(): Promise<void> {
    return this.#ground.clear();
  }
}
