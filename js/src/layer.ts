import type { Limits } from "./types.js";

/** What a layer must turn out to be, and how it is decoded. */
export interface LayerSpec {
  readonly digest: string;
  readonly size: number;
  readonly diffId: string;
  readonly mediaType: string;
  readonly limits: Partial<Limits>;
}

/** What was found to be true of a decoded layer. */
export interface LayerReport {
  readonly digest: string;
  readonly size: number;
  readonly diffId: string;
  readonly tarSize: number;
  readonly entries: number;
  readonly warnings: readonly string[];
}

/** The contents of one layer's files, end to end; where each lies is in the layer's index. */
export interface Pack {
  readonly length: number;
  /** Returns exactly `length` bytes from `offset` on, or fails. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): void;
}

/** Takes contents while a layer is decoded. Nothing is kept unless {@link finish} is reached. */
export interface PackWriter {
  /** Bytes are lent: they are used or copied before this returns, or before its promise settles. */
  append(bytes: Uint8Array): void | Promise<void>;
  finish(): Promise<Pack>;
  abort(): Promise<void>;
}

/** Where a pack is to be written; plain data, so that it can be sent to a Worker. */
export type PackPlace =
  | { readonly kind: "memory" }
  /** Nowhere: the layer is only verified. */
  | { readonly kind: "none" }
  | { readonly kind: "opfs"; readonly directory: FileSystemDirectoryHandle; readonly name: string }
  | { readonly kind: "file"; readonly path: string };

/** A layer that was verified: size, digest and diff_id are what the image says. */
export interface DecodedLayer {
  /** The module's own index of the layer: entries, skipped items and the extents of files. */
  readonly index: Uint8Array;
  readonly pack: Pack;
  readonly report: LayerReport;
}

/** Takes one layer's blob. */
export interface LayerFeed {
  /** Resolves when more is wanted, which is the back-pressure. The chunk is lent until then. */
  write(chunk: Uint8Array): Promise<void>;
  /** Fails where anything disagrees with the spec; nothing is kept then. */
  finish(): Promise<DecodedLayer>;
  abort(reason: unknown): Promise<void>;
}

/** Decodes layers: in this thread, or in Workers. */
export interface Decoding {
  open(spec: LayerSpec, place: PackPlace): Promise<LayerFeed>;
  close(): void;
}
