import { Buffer } from "node:buffer";
import { encodeName } from "../name.js";

/** A path as the runtime takes it: text, or bytes where it is not UTF-8. */
export type DiskPath = string | Buffer;

/** Returns where a path of an image lies below a directory. */
export function below(root: string, path: string): DiskPath {
  return path === "" ? root : onDiskOf(`${root}/${path}`);
}

/** Returns where something that a directory was found to hold lies. */
export function within(directory: DiskPath, name: Uint8Array): DiskPath {
  const bytes = Buffer.concat([typeof directory === "string" ? Buffer.from(directory) : directory, SLASH, name]);
  const text = bytes.toString("utf8");
  return bytes.equals(Buffer.from(text)) ? text : bytes;
}

/** Returns a name or link target as the runtime takes it; lone surrogates stand for bytes. */
export function onDiskOf(name: string): DiskPath {
  return ESCAPED.test(name) ? Buffer.from(encodeName(name)) : name;
}

/** Shows a path in a message, with everything escaped that could harm a terminal: names come from archives. */
export function shown(path: DiskPath): string {
  const bytes = typeof path === "string" ? encodeName(path) : path;
  return Array.from(bytes, (byte) => {
    if (byte >= 0x20 && byte < 0x7f && byte !== 0x5c) return String.fromCharCode(byte);
    return byte === 0x5c ? "\\\\" : `\\x${byte.toString(16).padStart(2, "0")}`;
  }).join("");
}

/** Half a surrogate pair without its other half. */
export const ESCAPED = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

const SLASH = Buffer.from("/");
