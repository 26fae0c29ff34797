import { ProxyError } from "./error.js";
import { hostOf } from "./registry.js";

/** What a request asks for. */
export interface Address {
  /** The registry's host. */
  readonly host: string;
  /** What is read, or what a token is wanted for. */
  readonly resource: Resource;
  readonly wants: "resource" | "token";
  /** The address, without its query, from which the registry's paths hang, in the terms of the request. */
  readonly base: string;
}

/** Something that can be read of a registry. */
export interface Resource {
  /** Its path, `/v2/...`. */
  readonly path: string;
  readonly kind: "ping" | "manifest" | "blob" | "referrers" | "tags";
  /** The repository; empty for the ping. */
  readonly repository: string;
}

/**
 * Reads the path of a request, `PREFIX/HOST/v2/...` or, as `proxied` writes it, `PREFIX/SCHEME/HOST/v2/...`;
 * with `token` before `v2` it is the token endpoint for that resource.
 *
 * Answers name addresses in the terms of the request. The first form means the proxy as it stands, so
 * that any client can follow them. The second means the registry's own URLs, which the client goes on
 * to rewrite, so that its rules about where credentials may go see what it asked for.
 */
export function parseAddress(url: URL, prefix: string): Address {
  if (!url.pathname.startsWith(prefix)) throw unknown();
  const segments = url.pathname.slice(prefix.length).split("/").map(decode);
  const scheme = segments[0] === "https" || segments[0] === "http" ? segments.shift() : undefined;
  const written = segments.shift() ?? "";
  const host = hostOf(written);
  if (host === undefined) throw unknown();
  const wants = segments[0] === "token" ? "token" : "resource";
  if (wants === "token") segments.shift();
  const base = scheme === undefined ? `${url.origin}${prefix}${written}` : `${scheme}://${written}`;
  return { host, resource: parseResource(segments), wants, base };
}

/** Reads a read path of the distribution-spec ("Endpoints"); everything that writes is none. */
function parseResource(segments: readonly string[]): Resource {
  if (segments[0] !== "v2") throw unknown();
  if (segments.length === 1 || (segments.length === 2 && segments[1] === "")) {
    return { path: "/v2/", kind: "ping", repository: "" };
  }
  const name = segments.slice(1, -2);
  const [what = "", reference = ""] = segments.slice(-2);
  const repository = name.join("/");
  const form = FORMS.get(what);
  const named = name.length > 0 && repository.length <= MAX_NAME && name.every((part) => COMPONENT.test(part));
  if (!named || !form?.reference.test(reference)) throw unknown();
  return { path: `/v2/${repository}/${what}/${reference}`, kind: form.kind, repository };
}

const COMPONENT = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*$/;
const DIGEST = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]{1,256}$/;
const TAG_OR_DIGEST = new RegExp(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$|${DIGEST.source}`);
const FORMS: ReadonlyMap<string, { readonly kind: Resource["kind"]; readonly reference: RegExp }> = new Map([
  ["manifests", { kind: "manifest", reference: TAG_OR_DIGEST }],
  ["blobs", { kind: "blob", reference: DIGEST }],
  ["referrers", { kind: "referrers", reference: DIGEST }],
  ["tags", { kind: "tags", reference: /^list$/ }],
]);
/** What clients and registries hold to (distribution-spec, "Pulling manifests"). */
const MAX_NAME = 255;

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw unknown();
  }
}

function unknown(): ProxyError {
  return new ProxyError("NAME_INVALID", "no read path of a registry: PREFIX/HOST/v2/...");
}
