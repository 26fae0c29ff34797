/**
 * Lets pages use registries that send no CORS headers: a handler of web-standard requests for Node,
 * Deno, Bun and workerd, and the hook that leads a client's requests through it.
 *
 * ```js
 * import { createProxy } from "oci-fetcher/proxy";
 *
 * // Deno, Bun and workerd take it as it is.
 * export default { fetch: createProxy({ registries: ["docker.io", "ghcr.io"], path: "/oci" }) };
 * ```
 *
 * It only reads, of the registries that it is told to serve: manifests, blobs, tags and referrers. What
 * pages may use it is for `allowOrigins`. That binds browsers alone, so where the network is paid for,
 * or a registry's `auth` is set, decide in front of it who may come in.
 *
 * A client's `Authorization` goes to the registry that the address names, and in a request for a token
 * to the realm that this registry names itself; cookies and everything else go nowhere.
 *
 * @module
 */
import { Account } from "./proxy/account.js";
import { type Address, parseAddress } from "./proxy/address.js";
import { relay, relayToken } from "./proxy/answer.js";
import { admit, type AllowOrigins, preflight } from "./proxy/cors.js";
import { ProxyError } from "./proxy/error.js";
import { exchange, type Network, type Question } from "./proxy/exchange.js";
import { allowList, type ProxyRegistry, type Upstream } from "./proxy/registry.js";
import { forwardToken } from "./proxy/token.js";

export type { AllowOrigins } from "./proxy/cors.js";
export type { ProxyErrorCode } from "./proxy/error.js";
export { proxied } from "./proxy/proxied.js";
export type { ProxyRegistry } from "./proxy/registry.js";

/** What a proxy serves, and to whom. */
export interface ProxyOptions {
  /** The registries that may be read. Any other is refused. */
  readonly registries: readonly (string | ProxyRegistry)[];
  /** Whose pages may use it. By default only pages of the proxy's own origin. */
  readonly allowOrigins?: AllowOrigins;
  /** The path that it is served below, for example `/oci`; by default the origin's root. */
  readonly path?: string;
  /** What it asks registries with, instead of the runtime's own `fetch`. */
  readonly fetch?: (url: URL, init: RequestInit) => Promise<Response>;
  /** Milliseconds to wait for the head of an answer; by default 60,000, as the client has it. */
  readonly timeout?: number;
}

/**
 * Makes a handler of requests for the registries that are named. It never rejects: what goes wrong is
 * an answer in the distribution-spec's form of errors, with a {@link ProxyErrorCode}.
 *
 * Throws a `TypeError` where the options cannot be meant.
 */
export function createProxy(options: ProxyOptions): (request: Request) => Promise<Response> {
  const { allowOrigins = [], path = "/", timeout = 60_000 } = options;
  const network: Network = { fetch: options.fetch ?? ((url, init) => globalThis.fetch(url, init)), timeout };
  const proxy: Proxy = { network, registries: accounts(network, options), prefix: `/${path}/`.replace(/\/+/g, "/") };
  return async (request) => {
    let cors: Record<string, string> = {};
    try {
      const url = new URL(request.url);
      cors = admit(request, url, allowOrigins);
      return withFields(await answer(proxy, request, url, cors), cors);
    } catch (error) {
      // Anything else is what a stream or a header threw on the way, and is not for the client to see.
      const known = error instanceof ProxyError ? error : new ProxyError("UPSTREAM_UNREACHABLE", "the request failed");
      return withFields(known.response(), cors);
    }
  };
}

interface Proxy {
  readonly network: Network;
  readonly registries: ReadonlyMap<string, { readonly registry: Upstream; readonly account: Account | undefined }>;
  readonly prefix: string;
}

function accounts(network: Network, { registries }: ProxyOptions): Proxy["registries"] {
  return new Map(
    [...allowList(registries)].map(([host, registry]) => {
      const account = registry.auth && new Account(network, registry, registry.auth);
      return [host, { registry, account }];
    }),
  );
}

async function answer(proxy: Proxy, request: Request, url: URL, cors: Record<string, string>): Promise<Response> {
  checkSizes(request);
  if (request.method === "OPTIONS") return preflight(cors);
  const address = parseAddress(url, proxy.prefix);
  const method = checkMethod(request.method, address);
  const served = proxy.registries.get(address.host);
  if (served === undefined) throw new ProxyError("DENIED", "the proxy does not serve this registry");
  const { registry, account } = served;
  if (address.wants === "token") return relayToken(await forwardToken(proxy.network, registry, address, request));
  const question = questionOf(request, method, registry, address, url);
  const own = account === undefined || question.headers.has("authorization");
  const reply = own
    ? await exchange(proxy.network, registry, question)
    : await account.exchange(question, address.resource.repository);
  return relay(reply, registry, address);
}

function checkSizes(request: Request): void {
  if (request.url.length > MAX_URL) throw new ProxyError("SIZE_INVALID", "the address is too long", { status: 414 });
  let size = 0;
  for (const [name, value] of request.headers) size += name.length + value.length;
  if (size > MAX_HEADERS) throw new ProxyError("SIZE_INVALID", "the header is too long", { status: 431 });
}

/** Names have 255 characters at the most, and listings' cursors some hundred. */
const MAX_URL = 8 * 1024;
/** Tokens of the largest registries take some 5 kB. */
const MAX_HEADERS = 32 * 1024;

function checkMethod(method: string, { wants }: Address): Question["method"] {
  const allowed = wants === "token" ? (["GET", "POST"] as const) : (["GET", "HEAD"] as const);
  const found = allowed.find((one) => one === method);
  if (found !== undefined) return found;
  const headers = { allow: [...allowed, "OPTIONS"].join(", ") };
  throw new ProxyError("UNSUPPORTED", "the proxy only reads", { headers });
}

function questionOf(
  request: Request,
  method: Question["method"],
  registry: Upstream,
  { resource }: Address,
  { search }: URL,
): Question {
  const url = new URL(resource.path, registry.origin);
  if (resource.kind === "tags" || resource.kind === "referrers") url.search = search;
  const headers = new Headers({ "accept-encoding": "identity", "user-agent": "oci-fetcher" });
  for (const name of ASKED) {
    const value = request.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  return { method, url, headers, signal: request.signal ?? undefined };
}

/** What a registry gets of a request's fields. */
const ASKED: readonly string[] = ["accept", "authorization", "if-none-match", "if-range", "range"];

function withFields(response: Response, fields: Readonly<Record<string, string>>): Response {
  for (const [name, value] of Object.entries(fields)) response.headers.set(name, value);
  return response;
}
