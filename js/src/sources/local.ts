import { statSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../disk/failure.js";
import { DiskFile } from "../disk/file.js";
import { INDEX_FILE, LayoutFolder, MARKER_BYTES, MARKER_FILE } from "../disk/layout-folder.js";
import { engine } from "../engine.js";
import { OciError } from "../errors.js";
import type { Source, SourceImage, SourceOptions } from "../source.js";
import { streamOf } from "../stream.js";
import type { Descriptor } from "../types.js";
import { archiveSource } from "./archive.js";
import { incomplete } from "./incomplete.js";
import type { LocalPlace } from "./named.js";
import { unpackedFile } from "./unpacked-file.js";

/** Reads a layout or archive on this machine, in Node, Deno and Bun. */
export function localSource({ kind, path, name }: LocalPlace): Source {
  const typed = `${kind}:${path}${name === undefined ? "" : `:${name}`}`;
  if (kind === "oci") return { name: typed, find: (options) => findInLayout(path, name, options) };
  const options = { kind: kind === "oci-archive" ? "oci" : "docker", ...(name !== undefined && { name }) } as const;
  const source = archiveSource(path, options, async ({ outputBytes }) => {
    if (!directoryAt(path)) return unpackedFile(path, outputBytes);
    const isLayout = statSync(join(path, MARKER_FILE), { throwIfNoEntry: false }) !== undefined;
    throw otherKind(path, "an archive", isLayout ? "oci:" : undefined);
  });
  return { ...source, name: typed };
}

async function findInLayout(path: string, name: string | undefined, { limits }: SourceOptions): Promise<SourceImage> {
  if (!directoryAt(path)) throw otherKind(path, "an OCI image layout", "oci-archive:");
  const living = await engine();
  const folder = new LayoutFolder(path);
  const marker = await onSource(path, () => folder.read(MARKER_FILE, MARKER_BYTES));
  if (marker === undefined) throw otherKind(path, "an OCI image layout", undefined);
  // One byte too many is enough for the core to refuse it.
  const index = await onSource(path, () => folder.read(INDEX_FILE, limits.manifestBytes + 1));
  if (index === undefined) throw incomplete(path, INDEX_FILE);
  const top = living.call((border) => {
    border.checkLayoutMarker(marker);
    return JSON.parse(border.layoutFind(index, name)) as Descriptor;
  });
  const open = (digest: string): Promise<DiskFile | undefined> =>
    onSource(path, async () => folder.open(living.call((border) => border.blobPath(digest))));
  return {
    top,
    warnings: [],
    async read(digest, limit): Promise<Uint8Array | undefined> {
      const file = await open(digest);
      if (file === undefined) return undefined;
      try {
        return file.length <= limit ? await onSource(path, () => file.readExactly(0, file.length)) : undefined;
      } finally {
        file.close();
      }
    },
    async stream({ digest }, offset): Promise<ReadableStream<Uint8Array> | undefined> {
      const file = await open(digest);
      return file === undefined ? undefined : streamOf(rest(file, offset));
    },
    close(): void {},
  };
}

async function* rest(file: DiskFile, offset: number): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* file.pieces(offset, Math.max(0, file.length - offset));
  } finally {
    file.close();
  }
}

/** Tells whether a directory stands at a path, where something must. */
function directoryAt(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw explained(path, error);
  }
}

async function onSource<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explained(path, error);
  }
}

function explained(path: string, error: unknown): OciError {
  if (error instanceof OciError) return error;
  const isMissing = codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR";
  if (isMissing) return new OciError("source-not-found", `${path} does not exist`, { errorClass: "not-found", cause: error });
  return new OciError("source-io", `cannot read ${path}`, { errorClass: "local", cause: error });
}

function otherKind(path: string, expected: string, prefix: string | undefined): OciError {
  return new OciError("other-kind-of-source", `${path} is not ${expected}`, {
    errorClass: "not-found",
    advice: prefix === undefined ? undefined : `try "${prefix}" before the path`,
  });
}
