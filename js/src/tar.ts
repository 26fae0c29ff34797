import { chunksOf, streamOf } from "./stream.js";
import type { MergedTree } from "./tree.js";
import type { ImageFileSystem } from "./types.js";

/**
 * Writes a merged tree as a tar, entries in byte order of paths: the same bytes on every host.
 *
 * The headers are the tree's, the contents come from `files`.
 */
export function tarOf(tree: MergedTree, files: Pick<ImageFileSystem, "open">): ReadableStream<Uint8Array> {
  return streamOf(members(tree, files));
}

async function* members(tree: MergedTree, files: Pick<ImageFileSystem, "open">): AsyncGenerator<Uint8Array, void, void> {
  for (const entry of tree.walk()) {
    yield tree.tarHeader(entry.path);
    if (entry.kind !== "file" || entry.hardLinkTo !== "" || entry.size === 0) continue;
    yield* chunksOf(await files.open(entry.path));
    const padding = (BLOCK - (entry.size % BLOCK)) % BLOCK;
    if (padding > 0) yield new Uint8Array(padding);
  }
  yield tree.tarTrailer();
}

const BLOCK = 512;
