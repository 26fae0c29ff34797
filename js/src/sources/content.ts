/** Bytes that can be read at any place. */
export interface RandomAccess {
  readonly size: number;
  /** Returns exactly `length` bytes from `offset` on, or fails. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Yields the same in pieces. */
  pieces(offset: number, length: number): AsyncGenerator<Uint8Array, void, void>;
  close(): void;
}

/** Reads a `Blob` or `File`. */
export function accessTo(blob: Blob): RandomAccess {
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    if (bytes.length < length) throw new RangeError("the content ends early");
    return bytes;
  };
  return {
    size: blob.size,
    read,
    async *pieces(offset, length): AsyncGenerator<Uint8Array, void, void> {
      for (let done = 0; done < length; done += PIECE) yield await read(offset + done, Math.min(PIECE, length - done));
    },
    close(): void {},
  };
}

/** Bytes read at once. */
const PIECE = 256 << 10;
