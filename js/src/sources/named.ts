import { OciError } from "../errors.js";
import { runtime } from "../runtime.js";
import type { Source } from "../source.js";
import { staticLayout } from "./static-layout.js";

/** A place on this machine that a source is named by. */
export interface LocalPlace {
  readonly kind: "oci" | "oci-archive" | "docker-archive";
  readonly path: string;
  /** Which image, where there are several. */
  readonly name: string | undefined;
}

/**
 * Reads what names an image: a registry's reference, which is returned as a string, or a source.
 *
 * The prefixes are the command line's: `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]`,
 * `docker-archive:FILE[:NAME]`, `docker://REFERENCE`; `https://.../layout#NAME` is a layout on a static host.
 * The path ends at the first colon and the rest is the name. The colon of a Windows drive is part of the
 * path, for no name begins with a slash.
 */
export function sourceNamed(text: string): string | Source {
  if (/^https?:\/\//i.test(text)) return staticLayout(text);
  if (text.startsWith("docker://")) return text.slice("docker://".length);
  const foreign = FOREIGN.find((prefix) => text.startsWith(prefix));
  if (foreign !== undefined) {
    throw new OciError("unknown-source", `sources that start with "${foreign}" are not read here`, {
      errorClass: "usage",
      advice:
        'use a reference, "oci:", "oci-archive:" or "docker-archive:", ' +
        'or "docker://" in front of a reference that reads like this',
    });
  }
  const kind = KINDS.find((kind) => text.startsWith(`${kind}:`));
  if (kind === undefined) return text;
  const place = placeOf(kind, text.slice(kind.length + 1));
  const { local } = runtime();
  if (local !== undefined) return local(place);
  throw new OciError("not-supported", "this runtime has no files: give an archive as a Blob, or a layout by its URL", {
    errorClass: "unsupported",
  });
}

function placeOf(kind: LocalPlace["kind"], rest: string): LocalPlace {
  const drive = /^[A-Za-z]:[\\/]/.test(rest) ? 2 : 0;
  const colon = rest.indexOf(":", drive);
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const name = colon < 0 ? undefined : rest.slice(colon + 1);
  if (path === "") throw malformed(`there is no path after "${kind}:"`, `write "${kind}:PATH" or "${kind}:PATH:NAME"`);
  // An empty variable of a shell would otherwise choose some image.
  if (name === "") {
    const message = `there is nothing after the colon that follows the path of "${kind}:"`;
    throw malformed(message, `write "${kind}:PATH:NAME", or leave out the colon`);
  }
  return { kind, path, name };
}

function malformed(message: string, advice: string): OciError {
  return new OciError("malformed-source", message, { errorClass: "usage", advice });
}

const KINDS: readonly LocalPlace["kind"][] = ["oci", "oci-archive", "docker-archive"];

/** As references, these would be images on Docker Hub that nobody means. */
const FOREIGN: readonly string[] = ["containers-storage:", "dir:", "docker-daemon:", "ostree:", "sif:", "tarball:"];
