import { engine, type Engine } from "../engine.js";
import { OciError } from "../errors.js";
import type { Source, SourceImage } from "../source.js";
import { streamOf } from "../stream.js";
import type { Descriptor, Limits } from "../types.js";
import { ArchiveIndex } from "./archive-index.js";
import { accessTo, type RandomAccess } from "./content.js";
import { openDockerArchive } from "./docker-archive.js";
import { incomplete } from "./incomplete.js";
import { unpackedBlob } from "./unpacked.js";

/** How an image is found in an archive. */
export interface ArchiveOptions {
  /** Which image, where there are several: its `org.opencontainers.image.ref.name`, or its repository tag. */
  readonly name?: string;
  /** What the archive is; without it, what it looks like. */
  readonly kind?: "oci" | "docker";
}

/**
 * An image in an archive: a tar of an OCI image layout, or what `docker save` writes, plain or with gzip.
 *
 * ```js
 * const [file] = input.files;
 * const image = await client.pull(archive(file, { name: "app:1" }), { to: memory() });
 * ```
 */
export function archive(blob: Blob, options: ArchiveOptions = {}): Source {
  const name = "name" in blob && typeof blob.name === "string" && blob.name !== "" ? blob.name : "archive";
  return archiveSource(name, options, async ({ outputBytes }) => accessTo(await unpackedBlob(blob, outputBytes)));
}

/** A source that reads an archive through any access to its bytes. */
export function archiveSource(
  name: string,
  options: ArchiveOptions,
  open: (limits: Limits) => Promise<RandomAccess>,
): Source {
  return {
    name,
    async find({ limits }): Promise<SourceImage> {
      const living = await engine();
      const content = await open(limits);
      try {
        const index = await ArchiveIndex.read(living, content);
        const kind = kindOf(index, name, options.kind);
        return kind === "oci"
          ? await openLayoutArchive(living, index, name, options.name, limits)
          : await openDockerArchive(living, index, name, options.name, limits);
      } catch (error) {
        content.close();
        throw explained(name, error);
      }
    },
  };
}

function kindOf(index: ArchiveIndex, name: string, said: "oci" | "docker" | undefined): "oci" | "docker" {
  const looks = {
    oci: index.locate("oci-layout") !== undefined,
    docker: index.locate("manifest.json") !== undefined,
  };
  const kind = said ?? (looks.oci ? "oci" : "docker");
  if (looks[kind]) return kind;
  const other = kind === "oci" ? "docker" : "oci";
  const expected = kind === "oci" ? "an archive of an OCI image layout" : "an archive as docker save writes it";
  throw new OciError("other-kind-of-source", `${name} is not ${expected}`, {
    errorClass: "not-found",
    advice: looks[other] ? `try the kind ${other} (${other}-archive:)` : undefined,
  });
}

async function openLayoutArchive(
  living: Engine,
  archive: ArchiveIndex,
  name: string,
  chosen: string | undefined,
  limits: Limits,
): Promise<SourceImage> {
  const marker = (await archive.read("oci-layout", MARKER_BYTES)) ?? new Uint8Array();
  // One byte too many is enough for the core to refuse it.
  const index = await archive.read("index.json", limits.manifestBytes + 1);
  if (index === undefined) throw incomplete(name, "index.json");
  const top = living.call((border) => {
    border.checkLayoutMarker(marker);
    return JSON.parse(border.layoutFind(index, chosen)) as Descriptor;
  });
  const pathOf = (digest: string): string => living.call((border) => border.blobPath(digest));
  return {
    top,
    warnings: [],
    read: (digest, limit) => archive.read(pathOf(digest), limit),
    async stream({ digest }, offset): Promise<ReadableStream<Uint8Array> | undefined> {
      const place = archive.locate(pathOf(digest));
      return place === undefined ? undefined : streamOf(archive.pieces(place, offset));
    },
    close: () => archive.close(),
  };
}

function explained(name: string, error: unknown): unknown {
  if (error instanceof OciError) return error;
  return new OciError("source-io", `cannot read ${name}`, { errorClass: "local", cause: error });
}

const MARKER_BYTES = 64 << 10;
