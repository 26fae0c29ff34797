import { Buffer } from "node:buffer";
import { mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { OciError } from "../errors.js";
import type { MergedTree } from "../tree.js";
import { ESCAPED, shown, within } from "./path.js";

/** Refuses a tree with names or link targets that this runtime would write as others. */
export function refuseStrangeNames(tree: MergedTree, scratch: string): void {
  if (holdsBytes(scratch)) return;
  for (const { path, linkTarget } of tree.walk()) {
    if (!ESCAPED.test(path) && !ESCAPED.test(linkTarget)) continue;
    throw new OciError("name-not-supported", `this runtime cannot write the name or link target of ${shown(path)}`, {
      errorClass: "local",
      advice: "unpack into memory, or use a runtime whose file names are bytes (Node, Bun)",
    });
  }
}

/** Tries whether names come back as the bytes that they were made of: Deno takes text alone. */
function holdsBytes(scratch: string): boolean {
  const name = Buffer.from([0xff]);
  try {
    mkdirSync(within(scratch, name));
    const found = readdirSync(scratch, { encoding: "buffer" }).map((one) => Buffer.from(one));
    rmdirSync(within(scratch, name));
    return found.some((one) => one.equals(name));
  } catch {
    return false;
  }
}
