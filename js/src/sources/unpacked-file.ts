import { createReadStream, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGunzip } from "node:zlib";
import { DiskFile } from "../disk/file.js";
import { randomName } from "../disk/work.js";
import { OciError } from "../errors.js";
import type { RandomAccess } from "./content.js";
import { compressionOf, tooLarge, unsupported } from "./unpacked.js";

/** Opens an archive; a compressed one is first unpacked into a temporary file without a name. */
export async function unpackedFile(path: string, limit: number): Promise<RandomAccess> {
  const file = DiskFile.open(path, "read", "follow");
  try {
    const compression = compressionOf(await file.readAt(0, 4));
    if (compression === "none") return accessTo(file);
    if (compression === "zstd") throw unsupported();
    const unpacked = temporary();
    try {
      await gunzip(path, unpacked, limit);
    } catch (error) {
      unpacked.close();
      throw error;
    }
    file.close();
    return accessTo(unpacked);
  } catch (error) {
    file.close();
    throw error;
  }
}

function accessTo(file: DiskFile): RandomAccess {
  return {
    size: file.length,
    read: (offset, length) => file.readExactly(offset, length),
    pieces: (offset, length) => file.pieces(offset, length),
    close: () => file.close(),
  };
}

function temporary(): DiskFile {
  const path = join(tmpdir(), `.oci-fetcher-${randomName()}`);
  const file = DiskFile.create(path);
  unlinkSync(path);
  return file;
}

async function gunzip(path: string, target: DiskFile, limit: number): Promise<void> {
  const source = createReadStream(path);
  const plain = source.pipe(createGunzip());
  source.on("error", (error) => plain.destroy(error));
  let length = 0;
  try {
    for await (const chunk of plain as AsyncIterable<Uint8Array>) {
      if (length + chunk.length > limit) throw tooLarge(limit);
      await target.write(chunk, length);
      length += chunk.length;
    }
  } catch (error) {
    source.destroy();
    const code = (error as { readonly code?: unknown }).code;
    if (typeof code !== "string" || !code.startsWith("Z_")) throw error;
    throw new OciError("malformed-gzip", `cannot decompress ${path}`, { errorClass: "integrity", cause: error });
  }
}
