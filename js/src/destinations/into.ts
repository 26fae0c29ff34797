import type { Destination, MergedImage, Staging } from "../destination.js";
import { throwIfAborted, usage } from "../errors.js";
import { pause } from "../pause.js";
import type { Entry } from "../record.js";
import { chunksOf } from "../stream.js";
import type { FileSystem, ImageFileSystem, Report, Skipped } from "../types.js";

/**
 * Writes an image into any object that implements {@link FileSystem}, once all of it was verified.
 *
 * ```js
 * const files = new Map();
 * await client.pull("alpine:3.22", {
 *   to: into({
 *     directory() {},
 *     async file(entry, content) { files.set(entry.path, await new Response(content).bytes()); },
 *     symlink(entry) { files.set(entry.path, entry.linkTarget); },
 *   }),
 * });
 * ```
 */
export function into(fileSystem: FileSystem): Destination {
  return { kind: "files", begin: async ({ signal }) => new Filling(fileSystem, signal) };
}

class Filling implements Staging {
  readonly #target: FileSystem;
  readonly #signal: AbortSignal | undefined;
  readonly #skipped: Skipped[] = [];
  /** Paths at which nothing stands. */
  readonly #leftOut = new Set<string>();

  constructor(target: FileSystem, signal: AbortSignal | undefined) {
    this.#target = target;
    this.#signal = signal;
  }

  find = async (): Promise<undefined> => undefined;
  place = (): { kind: "memory" } => ({ kind: "memory" });
  decoded = async (): Promise<void> => undefined;

  async complete({ tree, files }: MergedImage): Promise<ImageFileSystem> {
    for (const entry of tree.walk()) {
      await this.#entry(entry, files);
      await pause();
      throwIfAborted(this.#signal);
    }
    await this.#target.complete?.();
    return files;
  }

  report(): Report {
    const counts: Record<string, number> = {};
    for (const { what } of this.#skipped) counts[what] = (counts[what] ?? 0) + 1;
    return { skipped: this.#skipped, counts };
  }

  async abort(reason: unknown): Promise<void> {
    await this.#target.abort?.(reason);
  }

  async #entry(entry: Entry, files: ImageFileSystem): Promise<void> {
    if (this.#leftOut.has(entry.hardLinkTo)) return this.#leaveOut(entry, "hard-link");
    // Without hard links each name gets a copy.
    if (entry.hardLinkTo !== "" && this.#target.hardLink !== undefined) return this.#target.hardLink(entry);
    switch (entry.kind) {
      case "directory":
        return this.#target.directory(entry);
      case "file":
        return this.#file(entry, files);
      case "symlink":
        return this.#target.symlink(entry);
      default:
        if (this.#target.special !== undefined) return this.#target.special(entry);
        return this.#leaveOut(entry, entry.kind === "fifo" ? "fifo" : "device");
    }
  }

  /** Hands a file over, and notices where nobody took its content. */
  async #file(entry: Entry, files: ImageFileSystem): Promise<void> {
    const source = chunksOf(await files.open(entry.path));
    let isOver = false;
    const content = new ReadableStream<Uint8Array>(
      {
        async pull(controller): Promise<void> {
          const { done, value } = await source.next();
          if (done !== true) return controller.enqueue(value);
          isOver = true;
          controller.close();
        },
        async cancel(): Promise<void> {
          isOver = true;
          await source.return();
        },
      },
      { highWaterMark: 0 },
    );
    await this.#target.file(entry, content);
    if (!isOver) throw usage(`the file system took ${entry.path} without reading its content to the end`);
  }

  #leaveOut(entry: Entry, what: string): void {
    this.#leftOut.add(entry.path);
    this.#skipped.push({ path: entry.path, what, reason: "not-supported" });
  }
}
