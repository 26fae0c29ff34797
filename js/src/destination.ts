import type { DecodedLayer, LayerSpec, PackPlace } from "./layer.js";
import type { MergedTree } from "./tree.js";
import type { Descriptor, ImageFileSystem, Limits, NamePolicy, PulledImage, Report, ResolvedImage } from "./types.js";

/** Where an image's files go: made by `memory()`, `opfs()`, `directory()` or `into(fileSystem)`. */
export interface Destination {
  readonly kind: "files";
  /** What it asks to become of names that Windows cannot hold, whatever the caller says. */
  readonly names?: NamePolicy | undefined;
  /** Checks the place before anything is downloaded, and makes it ready. */
  begin(pull: PullContext): Promise<Staging>;
}

/** What a destination is told before anything is downloaded. */
export interface PullContext {
  /** The references as they were typed, in the order in which they are merged. */
  readonly references: readonly string[];
  readonly platform: string;
  /** Paths selected; empty for all. */
  readonly paths: readonly string[];
  readonly limits: Partial<Limits>;
  readonly signal: AbortSignal | undefined;
}

/** One pull into a destination. Exactly one of `complete` and `abort` ends it. */
export interface Staging {
  /** Returns a layer that is here already, complete and verified. */
  find(spec: LayerSpec): Promise<DecodedLayer | undefined>;
  /** Says where the contents of a layer's files are to be written. */
  place(spec: LayerSpec): PackPlace;
  /** Takes a layer that was verified; it may be kept for a later pull. */
  decoded(spec: LayerSpec, layer: DecodedLayer): Promise<void>;
  /** Makes the image visible, atomically: every layer was verified and merged. */
  complete(image: MergedImage): Promise<ImageFileSystem>;
  /** Returns what this destination could not hold; asked after `complete`. */
  report?(): Report;
  /** Ends without a result: nothing half visible stays. */
  abort(reason: unknown): Promise<void>;
}

/** An image, or several on top of each other, whose layers were all verified. */
export interface MergedImage {
  readonly images: readonly ResolvedImage[];
  /** Every image's layers in the order in which they were applied. */
  readonly layers: readonly MergedLayer[];
  readonly tree: MergedTree;
  /**
   * The merged tree with contents read from the layers' packs. A destination may return it as it is
   * (then it owns tree and packs), or copy from it and close it.
   */
  readonly files: ImageFileSystem;
}

/** A layer with what it was decoded to. */
export interface MergedLayer {
  readonly spec: LayerSpec;
  readonly layer: DecodedLayer;
}

/** Where an image's blobs go as they were served: made by `layout()`. */
export interface BlobDestination {
  readonly kind: "blobs";
  begin(pull: PullContext): Promise<BlobStaging>;
}

/** One copy into a blob destination. Exactly one of `complete` and `abort` ends it. */
export interface BlobStaging {
  /** Tells whether a blob is here already, whole and verified. */
  has(descriptor: Descriptor): Promise<boolean>;
  /** Takes a manifest, an index or another small blob, which was verified. */
  keep(descriptor: Descriptor, bytes: Uint8Array): Promise<void>;
  /** Opens a large blob for writing from its beginning. */
  open(descriptor: Descriptor): Promise<BlobWriter>;
  /**
   * Names the image by its reference as it was typed, where it came from a registry; everything below
   * `top` is in place. Returns warnings.
   */
  complete(top: Descriptor, reference: string | undefined): Promise<readonly string[]>;
  abort(reason: unknown): Promise<void>;
}

/** Takes one blob; it has its final name only after `commit`, which follows verification. */
export interface BlobWriter {
  /** The chunk is lent until the promise settles. */
  write(chunk: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  abort(): Promise<void>;
}

/** Images that stay between visits; the browser entry has one in the origin private file system. */
export interface ImageStore {
  images(): Promise<readonly StoredImage[]>;
  /** Opens a stored image; `undefined` where there is none of that name. */
  open(name: string): Promise<PulledImage | undefined>;
  /** Removes an image and the layers that no other image uses. */
  remove(name: string): Promise<boolean>;
}

/** One image of an {@link ImageStore}. */
export interface StoredImage {
  readonly name: string;
  readonly references: readonly string[];
  readonly digest: string;
  readonly platform: string;
  /** Bytes that its layers' contents occupy; layers may be shared with other images. */
  readonly bytes: number;
  /** When the pull was completed, in milliseconds since 1970. */
  readonly completed: number;
}
