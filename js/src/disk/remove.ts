import { Buffer } from "node:buffer";
import { chmodSync, lstatSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { pause } from "../pause.js";
import { codeOf, diskError, isRefusal } from "./failure.js";
import { within, type DiskPath } from "./path.js";

/** Removes whatever stands at a path, with all below it; no link is followed. */
export async function removeTree(path: DiskPath): Promise<void> {
  // Directories come twice: to be read, and to be removed once they are empty.
  const waiting: { readonly path: DiskPath; readonly emptied: boolean }[] = [{ path, emptied: false }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { path: at } = next;
    try {
      if (next.emptied) {
        rmdirSync(at);
      } else if (lstatSync(at).isDirectory()) {
        waiting.push({ path: at, emptied: true });
        for (const name of namesIn(at)) waiting.push({ path: within(at, name), emptied: false });
      } else {
        unlinkSync(at);
      }
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw diskError("remove", at, error);
    }
    await pause();
  }
}

/** Removes what is in a directory, but for one name. */
export async function removeContents(directory: string, kept: string): Promise<void> {
  for (const name of namesIn(directory)) {
    if (Buffer.from(name).toString() !== kept) await removeTree(within(directory, name));
  }
}

/** Lists a directory whose owner may have taken away the right to change it, which is given back. */
function namesIn(directory: DiskPath): Uint8Array[] {
  const { mode } = lstatSync(directory);
  if ((mode & 0o700) !== 0o700) {
    try {
      chmodSync(directory, 0o700);
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
  return readdirSync(directory, { encoding: "buffer" });
}
