import type { Credential } from "../types.js";
import { type Reach, reachOf } from "./reach.js";

/** A registry that the proxy serves. */
export interface ProxyRegistry {
  /** The host, with a port where it has one, as references name it: `ghcr.io`, `localhost:5000`. */
  readonly host: string;
  /**
   * Where it is reached, if not at `https://` and the host (or `http://`, on loopback). Naming an
   * `http:` origin trusts the network on the way there.
   */
  readonly origin?: string;
  /**
   * A credential of the proxy's own. Whoever may use the proxy then reads what this credential may
   * read; a request that carries an `Authorization` of its own goes without it.
   */
  readonly auth?: Credential;
  /**
   * More origins that the registry may lead to, by a redirect or as a realm, although they are plain
   * http or in a private network; for example `http://minio.internal:9000`.
   */
  readonly trusted?: readonly string[];
}

/** A registry of the allow list, checked. */
export interface Upstream {
  /** As a client names it. */
  readonly host: string;
  readonly origin: string;
  readonly reach: Reach;
  readonly auth: Credential | undefined;
  readonly trusted: ReadonlySet<string>;
}

/** Checks the allow list. Throws a `TypeError` where it cannot be meant. */
export function allowList(registries: readonly (string | ProxyRegistry)[]): ReadonlyMap<string, Upstream> {
  if (registries.length === 0) throw new TypeError("the proxy needs at least one registry that it may serve");
  const list = registries.map((registry) => upstream(typeof registry === "string" ? { host: registry } : registry));
  return new Map(list.map((registry) => [registry.host, registry]));
}

function upstream({ host: text, origin: given, auth, trusted = [] }: ProxyRegistry): Upstream {
  const host = hostOf(text);
  if (host === undefined) throw new TypeError(`not a registry's host: ${text}`);
  const loopback = reachOf(new URL(`http://${host}`)) === "loopback";
  const origin = originOf(given ?? `${loopback ? "http" : "https"}://${host}`);
  return { host, origin, reach: reachOf(new URL(origin)), auth, trusted: new Set(trusted.map(originOf)) };
}

/** Brings a host to one spelling; `undefined` where it is none. Docker Hub's names are one. */
export function hostOf(text: string): string | undefined {
  if (!URL.canParse(`https://${text}`)) return undefined;
  const url = new URL(`https://${text}`);
  if (url.host === "" || url.href !== `https://${url.host}/`) return undefined;
  return DOCKER_HUB.has(url.host) ? "registry-1.docker.io" : url.host;
}

const DOCKER_HUB: ReadonlySet<string> = new Set(["docker.io", "index.docker.io"]);

function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const bare = url !== undefined && url.href === `${url.origin}/`;
  if (!bare || !(url.protocol === "https:" || url.protocol === "http:")) {
    throw new TypeError(`not an http or https origin: ${text}`);
  }
  return url.origin;
}

/**
 * Tells why a registry may not lead the proxy from one address to another; `undefined` where it may.
 *
 * Only https, for a certificate vouches that a name does not lead into the proxy's own network; plain
 * http only within loopback. An address of a private network only from a registry in one, of loopback
 * only from a registry on it, and of the local link, where clouds keep a machine's credentials, never.
 */
export function refusal(registry: Upstream, from: URL, target: URL): string | undefined {
  if (target.protocol !== "https:" && target.protocol !== "http:") return "it is neither https nor http";
  if (target.username !== "" || target.password !== "") return "it holds user information";
  if (from.protocol === "https:" && target.protocol === "http:") return "https is never given up for http";
  if (target.origin === registry.origin || registry.trusted.has(target.origin)) return undefined;
  const reach = reachOf(target);
  const local = registry.reach === "loopback" && reach === "loopback";
  if (target.protocol === "http:" && !local) return "it is not https";
  if (reach === "public" || reach === "name" || local) return undefined;
  if (reach === "private" && (registry.reach === "private" || registry.reach === "loopback")) return undefined;
  return "only a registry next to it may lead there";
}
