import { resolve } from "node:path";
import type { BlobDestination, BlobStaging, BlobWriter } from "../destination.js";
import { engine } from "../engine.js";
import type { Descriptor } from "../types.js";
import { LayoutWriter } from "./layout-writer.js";

/** How images are named in a layout. */
export interface LayoutOptions {
  /** The name, instead of the reference as it was typed. */
  readonly refName?: string;
}

/**
 * Copies images into an OCI image layout in a directory, which is created if there is none; in Node, Deno
 * and Bun.
 *
 * `index.json` names an image only when all of its blobs are in place; other entries survive, and a
 * repeated name moves. Any number of processes, the native program's too, may write into one layout.
 *
 * ```js
 * const [copied] = await client.pull("heroku/builder:22", { to: layout("/srv/images"), platforms: "all" });
 * console.log(copied.digest);
 * ```
 */
export function layout(path: string, options: LayoutOptions = {}): BlobDestination {
  return {
    kind: "blobs",
    async begin({ limits, signal }): Promise<BlobStaging> {
      const living = await engine();
      return new Copying(await LayoutWriter.open(living, resolve(path), limits, signal), options);
    },
  };
}

class Copying implements BlobStaging {
  readonly #writer: LayoutWriter;
  readonly #options: LayoutOptions;

  constructor(writer: LayoutWriter, options: LayoutOptions) {
    this.#writer = writer;
    this.#options = options;
  }

  has(descriptor: Descriptor): Promise<boolean> {
    return this.#writer.verifyExisting(descriptor);
  }

  async keep(descriptor: Descriptor, bytes: Uint8Array): Promise<void> {
    if (await this.#writer.verifyExisting(descriptor)) return;
    const writer = this.#writer.begin(descriptor);
    try {
      await writer.write(bytes);
      await writer.commit();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  async open(descriptor: Descriptor): Promise<BlobWriter> {
    return this.#writer.begin(descriptor);
  }

  async complete(top: Descriptor, reference: string | undefined): Promise<readonly string[]> {
    return this.#writer.publish(top, { typed: reference, refName: this.#options.refName ?? reference });
  }

  async abort(): Promise<void> {
    await this.#writer.abandon();
  }
}
