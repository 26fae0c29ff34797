import type { Address } from "./address.js";
import { writeChallenge } from "./challenge.js";
import { PASSED } from "./cors.js";
import { ProxyError } from "./error.js";
import type { Answer } from "./exchange.js";
import type { Upstream } from "./registry.js";
import { challengesOf, checkRealm } from "./token.js";

/** Makes of a registry's answer the proxy's: the same bytes, streamed, under fields that are safe here. */
export async function relay({ response, own }: Answer, registry: Upstream, address: Address): Promise<Response> {
  const { status } = response;
  const headers = passed(response);
  try {
    if (status === 401) {
      // Only the registry itself may ask for credentials.
      if (!own) throw new ProxyError("DENIED", "the registry's storage wants credentials");
      const challenge = challengeFor(response, registry, address);
      if (challenge !== "") headers.set("www-authenticate", challenge);
    }
  } catch (error) {
    await response.body?.cancel();
    throw error;
  }
  const link = nextPage(response.headers.get("link"), registry, address);
  if (link !== undefined) headers.set("link", link);
  headers.set("content-type", contentType(response));
  return new Response(BODILESS.has(status) ? null : response.body, { status, headers });
}

/** As {@link relay}, for the answer of a realm. */
export function relayToken(response: Response): Response {
  const headers = passed(response);
  headers.set("content-type", "application/json");
  // A 401 of the realm is about the credential, and no challenge to be taken up.
  return new Response(BODILESS.has(response.status) ? null : response.body, { status: response.status, headers });
}

/** Statuses that the fetch standard gives no body. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

function passed(response: Response): Headers {
  // What runs in a page must not be had from here, for this may be the page's own origin.
  const headers = new Headers({
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
  });
  for (const name of PASSED) {
    const value = response.headers.get(name);
    if (value !== null && value.length <= MAX_FIELD) headers.set(name, value);
  }
  // An encoding that was not asked for has been undone by fetch: the length is another.
  if ((response.headers.get("content-encoding") ?? "identity") !== "identity") headers.delete("content-length");
  return headers;
}

/** What servers commonly accept of one field. */
const MAX_FIELD = 8 * 1024;

/** Names the proxy's token endpoint for the resource as the realm. */
function challengeFor(response: Response, registry: Upstream, { resource, base }: Address): string {
  const from = new URL(resource.path, registry.origin);
  return challengesOf(response)
    .map((challenge) => {
      if (challenge.scheme === "basic") return writeChallenge(challenge);
      checkRealm(registry, from, challenge.realm);
      return writeChallenge({ ...challenge, realm: `${base}/token${resource.path}` });
    })
    .join(", ");
}

/** Names the next page by its query alone, which is right wherever the listing is served. */
function nextPage(link: string | null, registry: Upstream, { resource }: Address): string | undefined {
  const target = /<([^<>]{0,4096})>\s*;\s*rel\s*=\s*"?next"?\s*(?:[,;]|$)/i.exec(link ?? "")?.[1];
  const base = new URL(resource.path, registry.origin);
  if (target === undefined || !URL.canParse(target, base.href)) return undefined;
  const next = new URL(target, base);
  const here = next.host === registry.host || next.host === base.host;
  return here && next.pathname === base.pathname ? `<${next.search}>; rel="next"` : undefined;
}

/** Keeps what manifests and listings are called; what a page could run or show is bytes. */
function contentType(response: Response): string {
  const type = response.headers.get("content-type") ?? "";
  const data = /^(?:application\/(?:[\w.+-]*\+)?json|text\/plain)\s*(?:;|$)/i.test(type);
  return data ? type : "application/octet-stream";
}
