import { engine } from "./engine.js";
import { throwIfAborted } from "./errors.js";
import { digestOf } from "./hash.js";
import { encodeRecord } from "./record.js";
import type { ImageFileSystem, Listing, ListingOptions } from "./types.js";

/** Lists a file system in the canonical form, with every content read back through it. */
export async function listingOf(files: ImageFileSystem, options: ListingOptions = {}): Promise<Listing> {
  const living = await engine();
  const listing = living.call((border) => new border.Listing(JSON.stringify(options.without ?? [])));
  const lines: string[] = [];
  const digests = new Map<number, string>();
  try {
    for await (const entry of files.walk()) {
      throwIfAborted(options.signal);
      let content: string | undefined;
      if (entry.kind === "file") {
        content = digests.get(entry.node) ?? (await digestOf(living, await files.open(entry.path)));
        if (entry.links > 1) digests.set(entry.node, content);
      }
      const line = living.call(() => listing.add(encodeRecord(entry), content));
      if (line !== undefined) lines.push(line);
    }
    return { digest: living.call(() => listing.finish()), lines };
  } finally {
    if (living.alive) listing.free();
  }
}
