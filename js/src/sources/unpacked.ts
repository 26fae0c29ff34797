import { OciError } from "../errors.js";

/** Returns the tar that a blob holds; members of a compressed one could not be read in place. */
export async function unpackedBlob(blob: Blob, limit: number): Promise<Blob> {
  const beginning = new Uint8Array(await blob.slice(0, 4).arrayBuffer());
  switch (compressionOf(beginning)) {
    case "none":
      return blob;
    case "zstd":
      throw unsupported();
    case "gzip": {
      const plain = blob.stream().pipeThrough(new DecompressionStream("gzip")).pipeThrough(bounded(limit));
      try {
        return await new Response(plain).blob();
      } catch (error) {
        if (error instanceof OciError) throw error;
        throw new OciError("malformed-gzip", "cannot decompress the archive", { errorClass: "integrity", cause: error });
      }
    }
  }
}

/** Tells by the magic bytes how something is compressed. */
export function compressionOf(beginning: Uint8Array): "none" | "gzip" | "zstd" {
  const begins = (...magic: number[]): boolean => magic.every((byte, index) => beginning[index] === byte);
  if (begins(0x1f, 0x8b)) return "gzip";
  const isSkippable = (beginning[0] ?? 0) >> 4 === 5 && begins(beginning[0] ?? 0, 0x2a, 0x4d, 0x18);
  return isSkippable || begins(0x28, 0xb5, 0x2f, 0xfd) ? "zstd" : "none";
}

/** Makes the error of an archive that this runtime cannot decompress. */
export function unsupported(): OciError {
  return new OciError("not-supported", "the archive is compressed with zstd, which is not unpacked here", {
    errorClass: "unsupported",
    advice: "decompress it first",
  });
}

/** Makes the error of an archive that grows beyond a limit. */
export function tooLarge(limit: number): OciError {
  return new OciError("limit-output-bytes", `the archive holds more than ${limit} bytes`, {
    errorClass: "refused",
    advice: "if the source is trusted, raise limits.outputBytes",
  });
}

function bounded(limit: number): TransformStream<Uint8Array, Uint8Array> {
  let length = 0;
  return new TransformStream({
    transform(chunk, controller): void {
      length += chunk.length;
      if (length > limit) throw tooLarge(limit);
      controller.enqueue(chunk);
    },
  });
}
