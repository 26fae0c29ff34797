import type { Address, Resource } from "./address.js";
import { type Challenge, parseChallenges } from "./challenge.js";
import { ProxyError } from "./error.js";
import { exchange, type Network, readBounded } from "./exchange.js";
import { refusal, type Upstream } from "./registry.js";

/**
 * Forwards a request for a token to the realm that the registry names for the resource, and nowhere
 * else: the registry is asked for the resource without credentials, and its 401 names the realm. So
 * the proxy keeps no state and no key, any number of instances can share the work, and an address that
 * a client makes up leads nowhere. It costs one more request a token.
 */
export async function forwardToken(
  network: Network,
  registry: Upstream,
  address: Address,
  request: Request,
): Promise<Response> {
  const signal = request.signal ?? undefined;
  const realm = await realmOf(network, registry, address.resource, signal);
  const headers = new Headers({ accept: "application/json", "accept-encoding": "identity" });
  const authorization = request.headers.get("authorization");
  if (authorization !== null) headers.set("authorization", authorization);
  if (request.method === "POST") {
    const type = request.headers.get("content-type") ?? "";
    if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type)) {
      throw new ProxyError("UNSUPPORTED", "a token is asked for by a form", { status: 415 });
    }
    headers.set("content-type", "application/x-www-form-urlencoded");
    const body = await readBounded(request.body, TOKEN_BYTES);
    return (await exchange(network, registry, { method: "POST", url: realm, headers, body, signal })).response;
  }
  for (const [name, value] of new URL(request.url).searchParams) {
    if (PARAMETERS.has(name)) realm.searchParams.append(name, value);
  }
  return (await exchange(network, registry, { method: "GET", url: realm, headers, signal })).response;
}

/** The parameters of distribution's token specification. */
const PARAMETERS: ReadonlySet<string> = new Set(["service", "scope", "account", "client_id", "offline_token"]);
/** Tokens of the largest registries take some 5 kB. */
export const TOKEN_BYTES: number = 64 * 1024;

async function realmOf(
  network: Network,
  registry: Upstream,
  resource: Resource,
  signal: AbortSignal | undefined,
): Promise<URL> {
  const url = new URL(resource.path, registry.origin);
  const headers = new Headers({ "accept-encoding": "identity" });
  const { response, own } = await exchange(network, registry, { method: "GET", url, headers, signal });
  await response.body?.cancel();
  if (response.status === 429) {
    const pause = response.headers.get("retry-after");
    throw new ProxyError(
      "TOOMANYREQUESTS",
      "the registry wants a pause",
      pause === null ? {} : { headers: { "retry-after": pause } },
    );
  }
  const challenge = own && response.status === 401 ? bearerOf(response) : undefined;
  if (challenge === undefined)
    throw new ProxyError("REALM_REFUSED", "the registry asks for no token here", { status: 404 });
  return checkRealm(registry, url, challenge.realm);
}

/** Returns the first Bearer challenge of a 401. */
export function bearerOf(response: Response): Challenge | undefined {
  return challengesOf(response).find(({ scheme }) => scheme === "bearer");
}

/** Returns the challenges of a 401 that a client can take up. */
export function challengesOf(response: Response): Challenge[] {
  const value = response.headers.get("www-authenticate") ?? "";
  return value.length > MAX_CHALLENGE_LENGTH ? [] : parseChallenges(value);
}

/** What servers commonly accept of one field. */
const MAX_CHALLENGE_LENGTH = 8 * 1024;

/** Checks that the proxy goes to a realm. */
export function checkRealm(registry: Upstream, from: URL, text: string): URL {
  const refused = (reason: string) => new ProxyError("REALM_REFUSED", `the registry's realm is refused: ${reason}`);
  if (!URL.canParse(text)) throw refused("it is no address");
  const realm = new URL(text);
  realm.hash = "";
  const reason = refusal(registry, from, realm);
  if (reason !== undefined) throw refused(reason);
  return realm;
}
