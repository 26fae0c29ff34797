// Builds small images: tar layers, configs, manifests and indexes, with digests computed.
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";

export function digestOf(bytes) {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Makes a tar of `[{ path, type?, mode?, content?, target?, pax? }]`, in ustar form; `pax` holds extended records. */
export function tar(entries) {
  const parts = [];
  for (const entry of entries.flatMap(withRecords)) {
    const content = Buffer.from(entry.content ?? "");
    const header = Buffer.alloc(512);
    header.write(entry.path, 0, 100, "latin1");
    header.write(octal(entry.mode ?? (entry.type === "directory" ? 0o755 : 0o644), 7), 100);
    header.write(octal(entry.uid ?? 0, 7), 108);
    header.write(octal(entry.gid ?? 0, 7), 116);
    header.write(octal(content.length, 11), 124);
    header.write(octal(entry.mtime ?? 1_700_000_000, 11), 136);
    header.write("        ", 148);
    header.write({ file: "0", link: "1", symlink: "2", character: "3", directory: "5", fifo: "6", records: "x" }[entry.type ?? "file"], 156);
    header.write(entry.target ?? "", 157, 100, "latin1");
    header.write("ustar\0" + "00", 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${octal(sum, 6)}\0 `, 148);
    parts.push(header, content, Buffer.alloc((512 - (content.length % 512)) % 512));
  }
  parts.push(Buffer.alloc(1024));
  return Buffer.concat(parts);
}

/** Puts a member with extended records before an entry that has some. */
function withRecords({ pax, ...entry }) {
  if (pax === undefined) return [entry];
  const records = Object.entries(pax).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    const digits = String(Buffer.byteLength(rest) + 2).length;
    return `${Buffer.byteLength(rest) + digits}${rest}`;
  });
  return [{ path: "records", type: "records", content: records.join("") }, entry];
}

/** Makes an image of layers (lists of entries, or ready tars). */
export function image(layers, options = {}) {
  const tars = layers.map((layer) => (Buffer.isBuffer(layer) ? layer : tar(layer)));
  const blobs = tars.map((bytes) => gzipSync(bytes));
  const config = json({
    architecture: options.architecture ?? "amd64",
    os: "linux",
    config: { Env: ["A=b"], Cmd: ["/bin/sh"], Labels: { purpose: "test" } },
    rootfs: { type: "layers", diff_ids: options.diffIds ?? tars.map(digestOf) },
  });
  return manifest({
    config: descriptor(OCI_CONFIG, config),
    layers: blobs.map((blob) => descriptor(OCI_LAYER, blob)),
    blobs: [config, ...blobs],
  });
}

/** Makes an artifact of files `[{ title?, type, content }]`. */
export function artifact(files) {
  const config = Buffer.from("{}");
  const blobs = files.map(({ content }) => Buffer.from(content));
  return manifest({
    artifactType: "application/vnd.example",
    config: descriptor("application/vnd.oci.empty.v1+json", config),
    layers: files.map(({ title, type }, index) => ({
      ...descriptor(type, blobs[index]),
      ...(title !== undefined && { annotations: { "org.opencontainers.image.title": title } }),
    })),
    blobs: [config, ...blobs],
  });
}

/** Makes an index of `[image, platform]`. */
export function index(images) {
  const bytes = json({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: images.map(([{ bytes }, platform]) => ({ ...descriptor(OCI_MANIFEST, bytes), platform })),
  });
  return { type: OCI_INDEX, bytes, digest: digestOf(bytes), blobs: images.flatMap(([{ blobs }]) => blobs), below: images.map(([one]) => one) };
}

function manifest({ blobs, ...fields }) {
  const bytes = json({ schemaVersion: 2, mediaType: OCI_MANIFEST, ...fields });
  return { type: OCI_MANIFEST, bytes, digest: digestOf(bytes), blobs, layers: fields.layers, below: [] };
}

function descriptor(mediaType, bytes) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function json(value) {
  return Buffer.from(JSON.stringify(value));
}

function octal(value, width) {
  return value.toString(8).padStart(width, "0");
}
