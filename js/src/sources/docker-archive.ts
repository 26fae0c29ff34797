import type { Engine } from "../engine.js";
import { OciError } from "../errors.js";
import { feed } from "../hash.js";
import type { SourceImage } from "../source.js";
import { streamOf } from "../stream.js";
import type { Descriptor, Limits } from "../types.js";
import type { ArchiveIndex, Location } from "./archive-index.js";
import { incomplete } from "./incomplete.js";
import { compressionOf } from "./unpacked.js";

/**
 * Opens an image in an archive as `docker save` writes it, which holds configs and layers but no
 * manifest: one is made.
 */
export async function openDockerArchive(
  living: Engine,
  archive: ArchiveIndex,
  name: string,
  chosen: string | undefined,
  limits: Limits,
): Promise<SourceImage> {
  const listing = await whole(archive, name, "manifest.json", limits.manifestBytes, "manifestBytes");
  const image = living.call((border) => {
    const images = new border.DockerArchive(listing);
    try {
      return JSON.parse(images.find(chosen)) as { readonly config: string; readonly layers: readonly string[] };
    } finally {
      images.free();
    }
  });
  const config = await whole(archive, name, image.config, limits.configBytes, "configBytes");
  const claimed = diffIdsOf(config);
  const known = new Map<number, Descriptor>();
  const blobs = new Map<string, Location>();
  const layers: Descriptor[] = [];
  for (const [position, file] of image.layers.entries()) {
    const place = archive.locate(file);
    if (place === undefined) throw incomplete(name, file);
    // Many names may lead to one layer.
    const layer = known.get(place.offset) ?? (await describe(living, archive, place, claimed[position]));
    known.set(place.offset, layer);
    blobs.set(layer.digest, place);
    layers.push(layer);
  }
  const made = living.call((border) => JSON.parse(border.synthesise(config, JSON.stringify(layers)))) as Synthesised;
  const manifest = new TextEncoder().encode(made.manifest);
  const { digest, mediaType } = made;
  const small = new Map<string, Uint8Array>([[digest, manifest]]);
  small.set(await digestOf(living, [config]), config);
  return {
    top: { mediaType, digest, size: manifest.length },
    warnings: [`${name} holds no manifest: one was made from its config and layers`],
    async read(digest, limit): Promise<Uint8Array | undefined> {
      const bytes = small.get(digest);
      return bytes !== undefined && bytes.length <= limit ? bytes : undefined;
    },
    async stream({ digest }, offset): Promise<ReadableStream<Uint8Array> | undefined> {
      const place = blobs.get(digest);
      return place === undefined ? undefined : streamOf(archive.pieces(place, offset));
    },
    close: () => archive.close(),
  };
}

/** A manifest that the core made. */
interface Synthesised {
  readonly manifest: string;
  readonly digest: string;
  readonly mediaType: string;
}

async function describe(
  living: Engine,
  archive: ArchiveIndex,
  place: Location,
  diffId: string | undefined,
): Promise<Descriptor> {
  const compression = compressionOf(await archive.beginning(place, MAGIC_BYTES));
  // A plain layer is its own tar. Whether the config is right shows when it is decoded.
  const isClaimed = compression === "none" && diffId !== undefined && /^sha(256|512):/.test(diffId);
  const digest = isClaimed ? diffId : await digestOf(living, archive.pieces(place, 0));
  const mediaType = `application/vnd.oci.image.layer.v1.tar${compression === "none" ? "" : `+${compression}`}`;
  return { mediaType, digest, size: place.size };
}

async function digestOf(living: Engine, pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const hash = living.call((border) => new border.Sha256());
  for await (const piece of pieces) feed(living, hash, piece);
  return living.call(() => hash.finish());
}

/** Returns the diff_ids that a config claims; what is wrong with it, the core says. */
function diffIdsOf(config: Uint8Array): readonly string[] {
  try {
    const { rootfs } = JSON.parse(new TextDecoder().decode(config)) as { rootfs?: { diff_ids?: unknown } };
    const claimed = rootfs?.diff_ids;
    return Array.isArray(claimed) ? claimed.filter((one): one is string => typeof one === "string") : [];
  } catch {
    return [];
  }
}

/** Reads a file whole, which must be there. */
async function whole(archive: ArchiveIndex, name: string, file: string, limit: number, field: string): Promise<Uint8Array> {
  const place = archive.locate(file);
  if (place === undefined) throw incomplete(name, file);
  const bytes = await archive.read(file, limit);
  if (bytes !== undefined) return bytes;
  throw new OciError("limit-exceeded", `the file ${file} in ${name} exceeds ${limit} bytes`, {
    errorClass: "refused",
    advice: `if the source is trusted, raise limits.${field}`,
  });
}

const MAGIC_BYTES = 4;
