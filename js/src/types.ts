import type { asyncDispose, dispose } from "./disposal.js";
import type { Entry } from "./record.js";

/** A secret way into a registry. */
export type Credential =
  /** A user and a password or personal token. */
  | { readonly username: string; readonly password: string }
  /** A token that is exchanged for others (docker's `identitytoken`). */
  | { readonly identityToken: string }
  /** A bearer token that the registry accepts as it is. */
  | { readonly registryToken: string };

/** Finds the credential for a repository; `undefined` means to go without one. */
export type CredentialCallback = (
  registry: string,
  repository: string,
) => Credential | undefined | Promise<Credential | undefined>;

/** Where credentials come from: a value for every registry of the client, or a callback. */
export type Auth = Credential | CredentialCallback;

/** What a pull may consume at the most; sizes in bytes. Each bound ends in an error of class `refused`. */
export interface Limits {
  readonly manifestBytes: number;
  readonly indexEntries: number;
  readonly indexDepth: number;
  readonly tokenBytes: number;
  readonly configBytes: number;
  readonly layers: number;
  readonly layerBytes: number;
  readonly outputBytes: number;
  readonly ratio: number;
  readonly entries: number;
  readonly treeBytes: number;
  readonly pathDepth: number;
  readonly pathBytes: number;
  readonly xattrBytes: number;
  readonly extensionBytes: number;
  readonly zstdWindow: number;
  readonly pages: number;
  readonly wallSeconds: number;
}

/**
 * What becomes of names that Windows cannot hold (`C:x`, `nul.txt`, `a\\b`, a dot at the end): they are
 * names like others, are made and listed in the report, or are an error. In a directory on Windows they are
 * always an error.
 */
export type NamePolicy = "any" | "report" | "refuse";

/** How a request that failed for a passing reason is tried again; pauses in milliseconds. */
export interface Retry {
  readonly attempts: number;
  readonly firstPause: number;
  readonly longestPause: number;
  /** The longest pause that a registry may ask for. */
  readonly longestRetryAfter: number;
  /** How long one request may go on failing without progress, pauses included. */
  readonly patience: number;
}

/** How long to wait for a registry, in milliseconds. */
export interface Deadlines {
  /** From sending a request to the head of its answer, connecting included. */
  readonly firstByte: number;
  /** Between two pieces of a body. */
  readonly progress: number;
}

/** What a manifest says of a blob. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A layer, as its manifest and the image's config describe it. */
export interface LayerDescriptor extends Descriptor {
  /** The name that an artifact's file asks for. */
  readonly title?: string;
  /** The digest of the uncompressed layer; images only. */
  readonly diffId?: string;
}

/** A manifest or an index exactly as it was served. */
export interface RawManifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** What an image's config says. */
export interface ImageConfig {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly env: readonly string[];
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly workingDirectory: string;
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** An image or artifact, as far as its manifest and config tell. */
export interface ResolvedImage {
  /** The reference or source, as typed. */
  readonly source: string;
  readonly kind: "image" | "artifact";
  /** The digest of the image's own manifest. */
  readonly digest: string;
  /** What the reference names; the image's own manifest where there is no index. */
  readonly top: RawManifest;
  readonly manifest: RawManifest;
  readonly configDescriptor: Descriptor;
  /** The config exactly as served. */
  readonly configBytes: Uint8Array;
  /** What the config says; `undefined` for an artifact, whose config is never parsed. */
  readonly config: ImageConfig | undefined;
  readonly artifactType: string | undefined;
  readonly layers: readonly LayerDescriptor[];
}

/** What a merged tree holds, by kind, and what went through. */
export interface Counts {
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly hardLinks: number;
  /** FIFOs and devices together. */
  readonly specials: number;
  readonly fifos: number;
  readonly devices: number;
  /** Tar entries of all layers, whiteouts included. */
  readonly entries: number;
  /** Sizes of all layers' files together. */
  readonly bytes: number;
}

/** One thing that could not be applied to one path. */
export interface Skipped {
  /** The path from the root, as in an {@link Entry}. */
  readonly path: string;
  /**
   * The thing: `ownership`, `special-mode`, `xattr`, `device`, `fifo`, `hard-link`, `modification-time`, `union-mark`;
   * `name` if names are reported that Windows cannot hold; `nanoseconds` stands once for all files, under the
   * root's path.
   */
  readonly what: string;
  /** The attribute's name, of an `xattr`. */
  readonly name?: string;
  /** Why: `not-permitted`, `not-supported`, `not-portable` or `policy`. */
  readonly reason: string;
}

/** Everything that was left out, and why. */
export interface Report {
  readonly skipped: readonly Skipped[];
  /** How many items of each kind were skipped. */
  readonly counts: Readonly<Record<string, number>>;
}

/** The canonical listing, by which the same image on different hosts is compared. */
export interface Listing {
  /** The digest of all lines. */
  readonly digest: string;
  readonly lines: readonly string[];
}

/** How a listing is made. */
export interface ListingOptions {
  readonly without?: readonly ListingAttribute[];
  readonly signal?: AbortSignal;
}

/** Attributes that a listing can leave out where a host cannot hold them. */
export type ListingAttribute = "owner" | "mode" | "nanoseconds" | "mtime" | "xattrs" | "devices" | (string & {});

/**
 * The merged tree of an image, to read. Symlinks are resolved inside it, so that no path leads out.
 *
 * Paths are relative to the image's root, with or without a leading slash. A byte that is not UTF-8
 * appears as a lone surrogate (U+DC80 to U+DCFF), and is written the same way.
 */
export interface ImageFileSystem {
  /** What stands at a path, symlinks followed; `undefined` where nothing does. */
  stat(path: string): Promise<Entry | undefined>;
  /** As {@link stat}, but a symlink in the last place is not followed. */
  lstat(path: string): Promise<Entry | undefined>;
  /** What a directory holds, in byte order of names; each entry's `path` is its name. */
  readdir(path: string): Promise<Entry[]>;
  /** The target of a symlink, as it is written. */
  readlink(path: string): Promise<string>;
  /** Streams a regular file's content; holes come as zeros. */
  open(path: string): Promise<ReadableStream<Uint8Array>>;
  /** A regular file's whole content. */
  read(path: string): Promise<Uint8Array>;
  /** Every entry in byte order of paths, the root (with the path `""`) first. */
  walk(): AsyncIterableIterator<Entry>;
  /** The whole tree as a deterministic tar in pax format, byte for byte as the native host writes it. */
  tar(): ReadableStream<Uint8Array>;
  /** The canonical listing, every content read back through this file system. */
  listing(options?: ListingOptions): Promise<Listing>;
  /** Gives back what it holds; later calls fail with code `closed`. */
  close(): void;
  [dispose](): void;
  [asyncDispose](): Promise<void>;
}

/**
 * A file system that an image can be written into, with `into(fileSystem)`. Paths are relative,
 * without symlinks, `.` or `..`, and every entry's parent comes before it.
 */
export interface FileSystem {
  /** Makes a directory; the root, whose path is empty, stands already and gets its attributes. */
  directory(entry: Entry): void | Promise<void>;
  /** Makes a regular file with this content, which must be read to its end or cancelled. */
  file(entry: Entry, content: ReadableStream<Uint8Array>): void | Promise<void>;
  symlink(entry: Entry): void | Promise<void>;
  /** Makes one more name, `entry.path`, for the file at `entry.hardLinkTo`. */
  hardLink?(entry: Entry): void | Promise<void>;
  /** Makes a FIFO or a device. Without it, they are reported as skipped. */
  special?(entry: Entry): void | Promise<void>;
  /** Everything was written: makes it visible. */
  complete?(): void | Promise<void>;
  /** Something failed: takes away what was written. */
  abort?(reason: unknown): void | Promise<void>;
}

/** Something that happened during a pull; called often. */
export type Progress =
  /** An image was resolved; these blobs come next. */
  | { readonly kind: "resolved"; readonly source: string; readonly digest: string; readonly blobs: readonly BlobSize[] }
  /** Bytes of a blob have come, from the registry, a source or the cache. */
  | { readonly kind: "downloaded"; readonly digest: string; readonly bytes: number }
  /** A blob was verified. */
  | { readonly kind: "verified"; readonly digest: string }
  | { readonly kind: "request"; readonly request: string }
  /** A request is tried again after a pause in milliseconds. */
  | { readonly kind: "retry"; readonly request: string; readonly reason: string; readonly pause: number }
  | { readonly kind: "warning"; readonly text: string };

/** A blob and its size in bytes. */
export interface BlobSize {
  readonly digest: string;
  readonly size: number;
}

/** What a pull returns. */
export interface PulledImage {
  /** The digest that the last reference resolved to for its platform. */
  readonly digest: string;
  /** The last reference's manifest, exactly as served. */
  readonly manifest: RawManifest;
  /** The last reference's config. */
  readonly config: ImageConfig | undefined;
  /** Every image, in the order in which they were merged. */
  readonly images: readonly ResolvedImage[];
  readonly counts: Counts;
  /** What could not be applied. */
  readonly report: Report;
  /** What was odd but accepted, each once. */
  readonly warnings: readonly string[];
  /** The merged tree. */
  readonly files: ImageFileSystem;
  /** Gives back what the result holds: the same as `files.close()`. */
  close(): void;
  [dispose](): void;
  [asyncDispose](): Promise<void>;
}

/** What a copy into a layout returns for one reference. */
export interface CopiedImage {
  /** The reference or source, as typed. */
  readonly source: string;
  /** The digest that the layout names now. */
  readonly digest: string;
  readonly mediaType: string;
  /** What was odd but accepted, each once. */
  readonly warnings: readonly string[];
}
