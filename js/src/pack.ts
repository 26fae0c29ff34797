import { closed, OciError } from "./errors.js";
import type { Pack, PackPlace, PackWriter } from "./layer.js";

/** Opens the writer of one layer's contents. */
export function openPack(place: PackPlace): Promise<PackWriter> {
  if (place.kind === "memory") return Promise.resolve(new MemoryWriter());
  if (place.kind === "none") return Promise.resolve(NOWHERE);
  const open = openers.get(place.kind) as ((place: PackPlace) => Promise<PackWriter>) | undefined;
  if (open === undefined) {
    const message = `this runtime has no packs of the kind ${place.kind}`;
    throw new OciError("not-supported", message, { errorClass: "usage" });
  }
  return open(place);
}

/** Tells how packs of another kind are written; the files that implement them say so once. */
export function usePacks<K extends PackPlace["kind"]>(
  kind: K,
  open: (place: Extract<PackPlace, { kind: K }>) => Promise<PackWriter>,
): void {
  openers.set(kind, open as (place: never) => Promise<PackWriter>);
}

const openers = new Map<PackPlace["kind"], (place: never) => Promise<PackWriter>>();

/** Makes a pack of blocks that are in memory: each of {@link BLOCK} bytes, but the last. */
export function memoryPack(blocks: readonly Uint8Array[], length: number): Pack {
  return new MemoryPack(blocks, length);
}

/** Keeps contents in blocks of equal size, so that growing never copies and any offset is found at once. */
class MemoryWriter implements PackWriter {
  #blocks: Uint8Array[] = [];
  #length = 0;

  append(bytes: Uint8Array): void {
    let rest = bytes;
    while (rest.length > 0) {
      const within = this.#length % BLOCK;
      if (within === 0) this.#blocks.push(new Uint8Array(BLOCK));
      const taken = rest.subarray(0, BLOCK - within);
      this.#blocks.at(-1)?.set(taken, within);
      this.#length += taken.length;
      rest = rest.subarray(taken.length);
    }
  }

  finish(): Promise<Pack> {
    const last = this.#blocks.pop();
    // What the last block does not use would stay as long as the image.
    if (last !== undefined) this.#blocks.push(last.slice(0, ((this.#length - 1) % BLOCK) + 1));
    return Promise.resolve(new MemoryPack(this.#blocks, this.#length));
  }

  abort(): Promise<void> {
    this.#blocks = [];
    return Promise.resolve();
  }
}

/** Counts nothing and keeps nothing. */
const NOWHERE: PackWriter = {
  append: () => undefined,
  finish: () => Promise.resolve(new MemoryPack([], 0)),
  abort: () => Promise.resolve(),
};

class MemoryPack implements Pack {
  readonly length: number;
  #blocks: readonly Uint8Array[] | undefined;

  constructor(blocks: readonly Uint8Array[], length: number) {
    this.#blocks = blocks;
    this.length = length;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    const blocks = this.#blocks;
    if (blocks === undefined) return Promise.reject(closed("the layer's content"));
    if (offset + length > this.length) return Promise.reject(new RangeError("a read beyond the layer's content"));
    const bytes = new Uint8Array(length);
    for (let filled = 0; filled < length; ) {
      const at = offset + filled;
      const piece = blocks[Math.floor(at / BLOCK)]?.subarray(at % BLOCK, (at % BLOCK) + length - filled);
      if (piece === undefined) break;
      bytes.set(piece, filled);
      filled += piece.length;
    }
    return Promise.resolve(bytes);
  }

  close(): void {
    this.#blocks = undefined;
  }
}

/** Small against a layer, large against the cost of one allocation. */
export const BLOCK: number = 1 << 20;
