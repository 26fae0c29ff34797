import type { Credential } from "../types.js";
import type { Challenge } from "./challenge.js";
import { ProxyError } from "./error.js";
import { type Answer, exchange, type Network, type Question, readBounded } from "./exchange.js";
import type { Upstream } from "./registry.js";
import { challengesOf, checkRealm, TOKEN_BYTES } from "./token.js";

/** Asks a registry with the proxy's own credential, which goes where a client's would go. */
export class Account {
  readonly #network: Network;
  readonly #registry: Upstream;
  readonly #credential: Credential;
  /** What was granted, by realm, service and scope. */
  readonly #granted = new Map<string, { readonly token: string; readonly until: number }>();
  /** The challenges that repositories have answered with. */
  readonly #challenges = new Map<string, Challenge>();

  constructor(network: Network, registry: Upstream, credential: Credential) {
    this.#network = network;
    this.#registry = registry;
    this.#credential = credential;
  }

  /** As {@link exchange}, and once more with what a 401 asks for. */
  async exchange(question: Question, repository: string): Promise<Answer> {
    const known = this.#challenges.get(repository);
    const first = await this.#ask(question, known && this.#remembered(known));
    if (first.response.status !== 401 || !first.own) return first;
    const challenges = challengesOf(first.response);
    await first.response.body?.cancel();
    const challenge = challenges.find(({ scheme }) => scheme === "bearer") ?? challenges[0];
    const authorization = challenge && (await this.#authorization(challenge, question));
    const second = authorization === undefined ? undefined : await this.#ask(question, authorization);
    if (challenge === undefined || second === undefined || second.response.status === 401) {
      await second?.response.body?.cancel();
      throw new ProxyError("DENIED", "the registry refuses the proxy's credential");
    }
    if (this.#challenges.size >= MAX_REMEMBERED) this.#challenges.clear();
    this.#challenges.set(repository, challenge);
    return second;
  }

  #ask(question: Question, authorization: string | undefined): Promise<Answer> {
    const headers = new Headers(question.headers);
    if (authorization !== undefined) headers.set("authorization", authorization);
    return exchange(this.#network, this.#registry, { ...question, headers });
  }

  #remembered(challenge: Challenge): string | undefined {
    if (challenge.scheme === "basic") return this.#basic();
    const grant = this.#granted.get(keyOf(challenge));
    return grant !== undefined && Date.now() < grant.until ? `Bearer ${grant.token}` : undefined;
  }

  async #authorization(challenge: Challenge, question: Question): Promise<string | undefined> {
    if ("registryToken" in this.#credential) return `Bearer ${this.#credential.registryToken}`;
    if (challenge.scheme === "basic") return this.#basic();
    const answer = await exchange(this.#network, this.#registry, this.#tokenQuestion(challenge, question));
    const body = await readBounded(answer.response.body, TOKEN_BYTES);
    const grant = answer.response.ok ? parseGrant(body) : undefined;
    if (grant === undefined) return undefined;
    if (this.#granted.size >= MAX_REMEMBERED) this.#granted.clear();
    this.#granted.set(keyOf(challenge), { token: grant.token, until: Date.now() + grant.seconds * 1000 * 0.9 });
    return `Bearer ${grant.token}`;
  }

  #tokenQuestion({ realm, service, scope }: Challenge, { url: asked, signal }: Question): Question {
    const url = checkRealm(this.#registry, asked, realm);
    const headers = new Headers({ accept: "application/json", "accept-encoding": "identity" });
    if (service !== undefined && !("identityToken" in this.#credential)) url.searchParams.append("service", service);
    if ("identityToken" in this.#credential) {
      const form = new URLSearchParams({ grant_type: "refresh_token", refresh_token: this.#credential.identityToken });
      form.set("client_id", "oci-fetcher");
      if (service !== undefined) form.set("service", service);
      if (scope !== undefined) form.set("scope", scope);
      headers.set("content-type", "application/x-www-form-urlencoded");
      return { method: "POST", url, headers, body: new TextEncoder().encode(form.toString()), signal };
    }
    for (const entry of scope?.split(" ") ?? []) url.searchParams.append("scope", entry);
    const basic = this.#basic();
    if (basic !== undefined) headers.set("authorization", basic);
    return { method: "GET", url, headers, signal };
  }

  #basic(): string | undefined {
    if (!("username" in this.#credential)) return undefined;
    const bytes = new TextEncoder().encode(`${this.#credential.username}:${this.#credential.password}`);
    return `Basic ${btoa(String.fromCharCode(...bytes))}`;
  }
}

/** Repositories and tokens that are kept in mind at the most. */
const MAX_REMEMBERED = 1000;

function keyOf({ realm, service, scope }: Challenge): string {
  return JSON.stringify([realm, service, scope]);
}

/** Reads a token endpoint's answer; a token lives for a minute unless it says otherwise (`token.md`). */
function parseGrant(body: Uint8Array): { readonly token: string; readonly seconds: number } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
  const { token, access_token: accessToken, expires_in: seconds } = (value ?? {}) as Record<string, unknown>;
  const text = typeof token === "string" ? token : accessToken;
  if (typeof text !== "string" || !/^[\x21-\x7e]+$/.test(text)) return undefined;
  return { token: text, seconds: typeof seconds === "number" && seconds > 0 ? seconds : 60 };
}
