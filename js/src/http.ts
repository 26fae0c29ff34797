import { aborted, OciError } from "./errors.js";
import { chunksOf } from "./stream.js";
import type { Deadlines } from "./types.js";
import { VERSION } from "./version.js";

/** A request in the core's words. */
export interface CoreRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
}

/** Why an exchange failed below HTTP, in the core's words. */
export type FailureKind =
  | "unknown-host"
  | "connect"
  | "tls"
  | "plain-http"
  | "timed-out"
  | "broken"
  | "too-large"
  | "forbidden";

/** An exchange that failed; the core decides whether it is tried again. */
export class ExchangeFailure extends Error {
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** How requests are sent. */
export interface HttpOptions {
  readonly fetch: typeof fetch;
  readonly rewriteUrl: ((url: URL) => URL | string) | undefined;
  readonly deadlines: Deadlines;
  readonly redirects: "manual" | "follow";
  /** What every request says to this runtime beside its headers. */
  readonly init: RequestInit;
}

/** The head of an answer, and its body to read. */
export interface Answer {
  readonly status: number;
  readonly headers: [string, string][];
  readonly body: Body;
}

/** Sends the core's requests with `fetch`, and says in the core's words what went wrong. */
export class Http {
  readonly #options: HttpOptions;
  #redirects: "manual" | "follow";

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#redirects = options.redirects;
  }

  /** Sends a request and waits for the head of its answer. The signal ends the body too. */
  async send(request: CoreRequest, content: Uint8Array | undefined, signal: AbortSignal): Promise<Answer> {
    const { deadlines, fetch: send } = this.#options;
    const attempt = new AbortController();
    const forward = (): void => attempt.abort(signal.reason);
    signal.addEventListener("abort", forward, { once: true });
    const release = (): void => signal.removeEventListener("abort", forward);
    const late = setTimeout(() => attempt.abort(LATE), deadlines.firstByte);
    try {
      if (signal.aborted) throw aborted(signal.reason);
      const response = await send(this.#address(request.url), this.#init(request, content, attempt.signal));
      if (response.type === "opaqueredirect" && response.status === 0) {
        // This runtime hides where a redirect leads: from now on it follows them by itself.
        this.#redirects = "follow";
        clearTimeout(late);
        release();
        return await this.send(request, content, signal);
      }
      const body = new Body(response.body, attempt, deadlines.progress, release);
      const headers = [...response.headers, ...hiddenRange(request, response)];
      return { status: response.status, headers, body };
    } catch (error) {
      release();
      if (signal.aborted) throw aborted(signal.reason);
      if (attempt.signal.reason === LATE) throw tooLate("no answer", deadlines.firstByte);
      if (error instanceof OciError) throw error;
      throw await this.#explained(request, error);
    } finally {
      clearTimeout(late);
    }
  }

  #address(url: string): string {
    const { rewriteUrl } = this.#options;
    return rewriteUrl === undefined ? url : String(rewriteUrl(new URL(url)));
  }

  #init(request: CoreRequest, content: Uint8Array | undefined, signal: AbortSignal): RequestInit {
    const headers = new Headers();
    // A browser drops headers that it keeps to itself, and asks the server about every unusual one.
    const browser = this.#options.redirects === "follow";
    if (!browser) headers.set("user-agent", `oci-fetcher/${VERSION}`);
    for (const [name, value] of request.headers) {
      if (!(browser && KEPT_BY_BROWSERS.has(name.toLowerCase()))) headers.append(name, value);
    }
    const init: RequestInit = { method: request.method, headers, redirect: this.#redirects, signal };
    if (content !== undefined && request.method === "POST") init.body = content.slice();
    return { ...this.#options.init, ...init };
  }

  /** Says why `fetch` threw. A page is told nothing, but can find out whether it was refused by CORS. */
  async #explained(request: CoreRequest, error: unknown): Promise<Error> {
    const failure = failureOf(error);
    if (this.#options.redirects !== "follow" || failure.kind !== "connect") return failure;
    const { fetch: send, init } = this.#options;
    const url = this.#address(request.url);
    try {
      await send(url, { ...init, method: "HEAD", mode: "no-cors", signal: AbortSignal.timeout(PROBE) });
    } catch {
      return failure;
    }
    return new OciError("cors", `${new URL(url).host} does not let this page read what it serves (CORS)`, {
      errorClass: "network",
      advice: "send requests through oci-fetcher/proxy with rewriteUrl, or have the registry allow this origin",
      cause: error,
    });
  }
}

/**
 * Returns the `Content-Range` that a page may not read, as few registries expose it: without it, every
 * download that broke would begin anew. It is what was asked for; the digest decides whether it came.
 */
function hiddenRange(request: CoreRequest, response: Response): [string, string][] {
  if (response.type !== "cors" || response.status !== 206 || response.headers.has("content-range")) return [];
  const range = request.headers.find(([name]) => name.toLowerCase() === "range")?.[1];
  const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? Number.NaN);
  const size = start + Number(response.headers.get("content-length") ?? Number.NaN);
  return Number.isSafeInteger(size) && size > start ? [["content-range", `bytes ${start}-${size - 1}/${size}`]] : [];
}

/** The body of an answer, piece by piece. */
export class Body {
  readonly #chunks: AsyncGenerator<Uint8Array, void, void> | undefined;
  readonly #attempt: AbortController;
  readonly #progress: number;
  readonly #release: () => void;
  /** Ends the read that is under way: not every runtime does so when the signal is aborted. */
  #interrupt: ((reason: unknown) => void) | undefined;

  constructor(
    stream: ReadableStream<Uint8Array> | null,
    attempt: AbortController,
    progress: number,
    release: () => void,
  ) {
    attempt.signal.addEventListener("abort", () => this.#interrupt?.(attempt.signal.reason), { once: true });
    this.#chunks = stream === null ? undefined : chunksOf(stream);
    this.#attempt = attempt;
    this.#progress = progress;
    this.#release = release;
  }

  /** Returns the next piece; `undefined` at the end. */
  async chunk(): Promise<Uint8Array | undefined> {
    const { signal } = this.#attempt;
    const late = setTimeout(() => this.#attempt.abort(LATE), this.#progress);
    try {
      const next = await new Promise<IteratorResult<Uint8Array, void> | undefined>((resolve, reject) => {
        this.#interrupt = reject;
        if (signal.aborted) reject(signal.reason);
        else Promise.resolve(this.#chunks?.next()).then(resolve, reject);
      });
      if (next === undefined || next.done === true) {
        this.#release();
        return undefined;
      }
      return next.value;
    } catch (error) {
      this.#release();
      if (signal.reason === LATE) throw tooLate("no progress", this.#progress);
      if (signal.aborted) throw aborted(signal.reason);
      const failure = failureOf(error);
      throw failure.kind === "connect" ? new ExchangeFailure("broken", failure.message) : failure;
    } finally {
      clearTimeout(late);
    }
  }

  /**
   * Reads a small body to its end, which must come within some deadlines: pieces alone are no progress,
   * if there is one of a byte a minute.
   */
  async whole(limit: number): Promise<Uint8Array[]> {
    const [begun, patience] = [performance.now(), this.#progress * SMALL_BODY];
    const chunks: Uint8Array[] = [];
    let length = 0;
    for (let chunk = await this.chunk(); chunk !== undefined; chunk = await this.chunk()) {
      length += chunk.length;
      if (performance.now() - begun > patience) {
        this.close();
        throw tooLate("no end of a small body", patience);
      }
      if (length > limit) {
        this.close();
        throw new ExchangeFailure("too-large", `more than ${limit} bytes`);
      }
      chunks.push(chunk);
    }
    return chunks;
  }

  /** Reads what there is of an error's body, up to a limit and a deadline; fails only where the caller ended it. */
  async beginning(limit: number): Promise<Uint8Array[]> {
    const chunks: Uint8Array[] = [];
    const begun = performance.now();
    let room = limit;
    try {
      for (let chunk = await this.chunk(); chunk !== undefined; chunk = await this.chunk()) {
        chunks.push(chunk.subarray(0, room));
        room -= Math.min(room, chunk.length);
        if (room === 0 || performance.now() - begun > this.#progress) break;
      }
    } catch (error) {
      if (error instanceof OciError) throw error;
    }
    this.close();
    return chunks;
  }

  /** Ends the exchange; what was not read is not wanted. */
  close(): void {
    this.#release();
    this.#attempt.abort(CLOSED);
  }
}

/** Deadlines without progress that a manifest or a token may take as a whole. */
const SMALL_BODY = 5;

function tooLate(what: string, after: number): ExchangeFailure {
  return new ExchangeFailure("timed-out", `${what} for ${after / 1_000} s`);
}

/** Says what an error of `fetch` means. Each runtime has its own words; a browser has none at all. */
function failureOf(error: unknown): ExchangeFailure {
  const chain: { code?: unknown; message?: unknown }[] = [];
  for (let at = error; at instanceof Error && chain.length < LONGEST_CHAIN; at = at.cause) {
    chain.push(at);
    if (at instanceof AggregateError) chain.push(...(at.errors as Error[]));
  }
  const words = chain.map(({ code, message }) => `${String(code ?? "")} ${String(message ?? "")}`).join("\n");
  const kind = KINDS.find(([, pattern]) => pattern.test(words))?.[0] ?? "connect";
  const innermost = chain.at(-1)?.message;
  const message = typeof innermost === "string" && innermost !== "" ? innermost : "fetch failed";
  return new ExchangeFailure(kind, message.replace(QUERY, "$1"));
}

const KINDS: readonly (readonly [FailureKind, RegExp])[] = [
  ["unknown-host", /ENOTFOUND|EAI_AGAIN|EAI_NODATA|dns error|DNS lookup|getaddrinfo|DNSException/i],
  ["plain-http", /WRONG_VERSION_NUMBER|wrong version number|PACKET_LENGTH_TOO_LONG|InvalidContentType/i],
  ["tls", /CERT|ERR_TLS|ERR_SSL|EPROTO|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|certificate|tls|HandshakeFailure/i],
  ["timed-out", /ETIMEDOUT|TIMEOUT|timed out/i],
  ["connect", /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|ConnectionRefused|refused|FailedToOpenSocket|Unable to connect/i],
  ["broken", /ECONNRESET|EPIPE|UND_ERR_SOCKET|UND_ERR_RES|ConnectionClosed|terminated|closed|reset|ended|aborted|HPE_|IncompleteMessage|incomplete|body/i],
];

/** The query of an address in a runtime's message: that of presigned ones is a secret. */
const QUERY = /(https?:\/\/[^\s?#)]*)\?[^\s)]*/g;

/** Names that a browser sets itself; giving them would only cost a question to the server. */
const KEPT_BY_BROWSERS: ReadonlySet<string> = new Set(["accept-encoding", "connection", "host", "user-agent"]);

const LATE: unique symbol = Symbol("a deadline passed");
const CLOSED: unique symbol = Symbol("the answer is not wanted");

const LONGEST_CHAIN = 8;

/** Long enough for a distant server, short against the retries that it saves. */
const PROBE = 5_000;
