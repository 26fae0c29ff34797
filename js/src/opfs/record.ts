import type { PullContext } from "../destination.js";
import type { LayerSpec } from "../layer.js";
import type { Limits, RawManifest, ResolvedImage } from "../types.js";
import { fileName } from "./file-name.js";
import { openFile, removeFile, writeFile } from "./file.js";

/** What makes an image visible: one JSON file, which names its layers in their order. */
export interface ImageRecord {
  readonly version: typeof VERSION;
  readonly name: string;
  readonly references: readonly string[];
  readonly platform: string;
  readonly paths: readonly string[];
  readonly limits: Partial<Limits>;
  readonly digest: string;
  readonly images: readonly RecordedImage[];
  readonly layers: readonly RecordedLayer[];
  /** The directory with a file an entry; without it, contents are read from the layers' packs. */
  readonly tree?: string;
  /** Bytes that contents occupy. */
  readonly bytes: number;
  readonly completed: number;
}

/** A layer, as the store finds it again. */
export interface RecordedLayer {
  readonly diffId: string;
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
  /** Bytes of its pack. */
  readonly packLength: number;
}

type RecordedManifest = Omit<RawManifest, "bytes"> & { readonly bytes: string };

/** A resolved image whose manifests and config are written in base64, byte for byte as served. */
type RecordedImage = Omit<ResolvedImage, "top" | "manifest" | "configBytes"> & {
  readonly top: RecordedManifest;
  readonly manifest: RecordedManifest;
  readonly configBytes: string;
};

/** What a record is made from. */
export interface RecordParts {
  readonly name: string;
  readonly pull: PullContext;
  readonly images: readonly ResolvedImage[];
  readonly layers: readonly { readonly spec: LayerSpec; readonly packLength: number }[];
  readonly tree?: string;
}

/** Makes the record of an image that was just completed. */
export function recordOf({ name, pull, images, layers, tree }: RecordParts): ImageRecord {
  const { references, platform, paths, limits } = pull;
  return {
    version: VERSION,
    name,
    references,
    platform,
    paths,
    limits,
    digest: images.at(-1)?.digest ?? "",
    images: images.map((image) => ({
      ...image,
      top: { ...image.top, bytes: toBase64(image.top.bytes) },
      manifest: { ...image.manifest, bytes: toBase64(image.manifest.bytes) },
      configBytes: toBase64(image.configBytes),
    })),
    layers: layers.map(({ spec: { diffId, digest, size, mediaType }, packLength }) => {
      return { diffId, digest, size, mediaType, packLength };
    }),
    ...(tree === undefined ? {} : { tree }),
    bytes: layers.reduce((sum, { packLength }) => sum + packLength, 0),
    completed: Date.now(),
  };
}

/** Returns the images of a record as they were resolved. */
export function imagesOf({ images }: ImageRecord): ResolvedImage[] {
  return images.map((image) => ({
    ...image,
    artifactType: image.artifactType,
    config: image.config,
    top: { ...image.top, bytes: fromBase64(image.top.bytes) },
    manifest: { ...image.manifest, bytes: fromBase64(image.manifest.bytes) },
    configBytes: fromBase64(image.configBytes),
  }));
}

/** The records of a directory. */
export class Records {
  readonly #directory: FileSystemDirectoryHandle;

  constructor(directory: FileSystemDirectoryHandle) {
    this.#directory = directory;
  }

  async read(name: string): Promise<ImageRecord | undefined> {
    return parse(await openFile(this.#directory, recordName(name)));
  }

  async all(): Promise<ImageRecord[]> {
    const records: ImageRecord[] = [];
    for await (const name of this.#directory.keys()) {
      const record = await parse(await openFile(this.#directory, name));
      if (record !== undefined) records.push(record);
    }
    return records.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  write(record: ImageRecord): Promise<void> {
    return writeFile(this.#directory, recordName(record.name), JSON.stringify(record));
  }

  remove(name: string): Promise<void> {
    return removeFile(this.#directory, recordName(name));
  }
}

/** A record that another version wrote, or that is damaged, is none. */
async function parse(file: File | undefined): Promise<ImageRecord | undefined> {
  if (file === undefined) return undefined;
  try {
    const record = JSON.parse(await file.text()) as ImageRecord;
    return record.version === VERSION ? record : undefined;
  } catch {
    return undefined;
  }
}

function recordName(name: string): string {
  return `${fileName(name)}.json`;
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += PIECE) {
    text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  }
  return btoa(text);
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** Some engines take no more arguments at once. */
const PIECE = 32 << 10;
const VERSION = 1;
