import { ProxyError } from "./error.js";
import { refusal, type Upstream } from "./registry.js";

/** Asks registries, and follows them where they may lead. */
export interface Network {
  readonly fetch: (url: URL, init: RequestInit) => Promise<Response>;
  /** Milliseconds from sending a request to the head of its answer. */
  readonly timeout: number;
}

/** A request to a registry or its realm. */
export interface Question {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: URL;
  readonly headers: Headers;
  readonly body?: Uint8Array<ArrayBuffer>;
  /** Ends the exchange, its body too: the client has gone. */
  readonly signal: AbortSignal | undefined;
}

/** An answer, and who gave it. */
export interface Answer {
  readonly response: Response;
  /** Tells whether the origin that was asked has answered, rather than one that a redirect led to. */
  readonly own: boolean;
}

/**
 * Sends a request and follows redirects. Another origin gets no `Authorization`, and does not get it
 * back on the way home. A POST, whose body holds secrets, is not led anywhere.
 */
export async function exchange(network: Network, registry: Upstream, question: Question): Promise<Answer> {
  const headers = new Headers(question.headers);
  let { url } = question;
  let own = true;
  for (let hop = 0; ; hop += 1) {
    const response = await send(network, { ...question, url, headers });
    if (!REDIRECTS.has(response.status)) return { response, own };
    await response.body?.cancel();
    const target = follow(registry, url, response.headers.get("location"));
    if (question.method === "POST") throw refused("a request for a token");
    if (hop === MAX_HOPS) throw refused("too many times");
    if (target.origin !== question.url.origin) {
      headers.delete("authorization");
      own = false;
    }
    url = target;
  }
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Registries need one redirect, mirrors before them two. */
const MAX_HOPS = 5;

function follow(registry: Upstream, from: URL, location: string | null): URL {
  if (location === null || !URL.canParse(location, from.href)) throw refused("without a proper address");
  const target = new URL(location, from);
  const reason = refusal(registry, from, target);
  if (reason !== undefined) throw refused(`to ${target.origin}: ${reason}`);
  return target;
}

function refused(how: string): ProxyError {
  return new ProxyError("REDIRECT_REFUSED", `the registry redirects ${how}`);
}

async function send(network: Network, { method, url, headers, body, signal }: Question): Promise<Response> {
  const controller = new AbortController();
  const leave = () => controller.abort(signal?.reason);
  if (signal?.aborted) leave();
  signal?.addEventListener("abort", leave, { once: true });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    controller.abort();
  }, network.timeout);
  const init: RequestInit = { method, headers, redirect: "manual", signal: controller.signal };
  try {
    return await network.fetch(url, body === undefined ? init : { ...init, body });
  } catch (cause) {
    if (late) throw new ProxyError("UPSTREAM_TIMEOUT", `no answer in time from ${url.origin}`, { cause });
    throw new ProxyError("UPSTREAM_UNREACHABLE", `no answer from ${url.origin}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** Reads a whole body of at most `limit` bytes. */
export async function readBounded(
  body: ReadableStream<Uint8Array> | null,
  limit: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = body?.getReader();
  for (let read = await reader?.read(); read !== undefined && !read.done; read = await reader?.read()) {
    length += read.value.byteLength;
    if (length > limit) {
      await reader?.cancel();
      throw new ProxyError("SIZE_INVALID", `a body of more than ${limit} bytes`);
    }
    chunks.push(read.value);
  }
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
