import { aborted, OciError, throwIfAborted } from "../errors.js";
import type { SourceOptions } from "../source.js";
import { chunksOf } from "../stream.js";

/** An answer that begins with the byte that was asked for, or before it. */
export interface Answer {
  readonly body: ReadableStream<Uint8Array>;
  /** Bytes to leave out: a host that does not know Range sends the whole file. */
  readonly skip: number;
}

/** A file on a static host: asked again where a connection breaks, from where it stopped. */
export class StaticFile {
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #options: SourceOptions;
  #attempts = 0;

  constructor(url: URL, headers: Readonly<Record<string, string>>, options: SourceOptions) {
    this.#url = url;
    this.#headers = headers;
    this.#options = options;
  }

  /** Asks for the file from byte `offset` on; `undefined` where it is missing. */
  async ask(offset: number): Promise<Answer | undefined> {
    for (;;) {
      const answer = await this.#attempt(offset).catch((error: unknown) => this.#orAgain(error));
      if (answer !== AGAIN) return answer;
    }
  }

  /** Yields the bytes that follow `offset`: to the end, or exactly to byte `size`. */
  async *pieces(first: Answer, offset: number, size?: number): AsyncGenerator<Uint8Array, void, void> {
    let answer: Answer | undefined = first;
    for (let at = offset; answer !== undefined; ) {
      try {
        let { skip } = answer;
        for await (const chunk of chunksOf(this.#watched(answer.body))) {
          const piece = chunk.subarray(Math.min(skip, chunk.length));
          skip -= chunk.length - piece.length;
          if (piece.length === 0) continue;
          at += piece.length;
          // What came is not asked for again.
          this.#attempts = 0;
          yield piece;
        }
        // A body that is too short is a connection that broke; verification sees to one that is too long.
        if (size === undefined || at >= size) return;
        throw broken(this.#url, "the answer ended early");
      } catch (error) {
        await this.#orAgain(error);
      }
      answer = await this.ask(at);
    }
  }

  async #attempt(offset: number): Promise<Answer | undefined> {
    const { fetch, signal } = this.#options;
    throwIfAborted(signal);
    const headers = { ...this.#headers, ...(offset > 0 && { range: `bytes=${offset}-` }) };
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), FIRST_BYTE);
    const forward = (): void => late.abort(signal?.reason);
    signal?.addEventListener("abort", forward, { once: true });
    let response: Response;
    try {
      response = await fetch(this.#url, { headers, signal: late.signal, credentials: "omit" });
    } catch (error) {
      if (signal?.aborted) throw aborted(signal.reason);
      throw broken(this.#url, late.signal.aborted ? "no answer in time" : String((error as Error).message), error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", forward);
    }
    return this.#answerOf(response, offset);
  }

  async #answerOf(response: Response, offset: number): Promise<Answer | undefined> {
    const { status, body } = response;
    if (status === 200 || status === 206) {
      if (body === null) throw broken(this.#url, "an answer without a body");
      if (status === 200) return { body, skip: offset };
      const range = response.headers.get("content-range");
      // Another origin's header may be hidden from a page; verification sees what is wrong then.
      if (range === null || range.startsWith(`bytes ${offset}-`)) return { body, skip: 0 };
    }
    await body?.cancel().catch(() => undefined);
    if (status === 404 || status === 410) return undefined;
    if (PASSING.has(status) || status >= 500 || status === 206) throw broken(this.#url, `status ${status}`);
    const isRefused = status === 401 || status === 403;
    throw new OciError(isRefused ? "denied" : "status", `${shown(this.#url)} answered with status ${status}`, {
      errorClass: isRefused ? "authentication" : "network",
    });
  }

  /** Waits before another attempt, or throws where there is none. */
  async #orAgain(error: unknown): Promise<typeof AGAIN> {
    const { signal } = this.#options;
    if (signal?.aborted) throw aborted(signal.reason);
    this.#attempts += 1;
    const isPassing = !(error instanceof OciError) || error.code === "connection-broken";
    if (!isPassing || this.#attempts >= ATTEMPTS) throw error;
    const pause = FIRST_PAUSE * 2 ** (this.#attempts - 1) * (0.5 + Math.random() / 2);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pause);
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      }, { once: true });
    });
    return AGAIN;
  }

  /** Ends a body that makes no progress, and one whose caller has ended it. */
  #watched(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    const reader = body.getReader();
    const { signal } = this.#options;
    const url = this.#url;
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller): Promise<void> {
          let timer: ReturnType<typeof setTimeout> | undefined;
          let stop: (() => void) | undefined;
          const ended = new Promise<never>((_, reject) => {
            timer = setTimeout(() => reject(broken(url, "no progress")), PROGRESS);
            stop = (): void => reject(aborted(signal?.reason));
            if (signal?.aborted) stop();
            signal?.addEventListener("abort", stop);
          });
          try {
            const { done, value } = await Promise.race([reader.read(), ended]);
            if (done) controller.close();
            else controller.enqueue(value);
          } catch (error) {
            await reader.cancel().catch(() => undefined);
            throw error;
          } finally {
            clearTimeout(timer);
            if (stop !== undefined) signal?.removeEventListener("abort", stop);
          }
        },
        cancel: (reason) => reader.cancel(reason),
      },
      { highWaterMark: 0 },
    );
  }
}

function broken(url: URL, why: string, cause?: unknown): OciError {
  return new OciError("connection-broken", `cannot read ${shown(url)}: ${why}`, { errorClass: "network", cause });
}

/** Shows an address without its query, which may be a key. */
function shown(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

const AGAIN: unique symbol = Symbol("ask again");

/** Answers that another attempt may change. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);
const ATTEMPTS = 5;
const FIRST_PAUSE = 250;
/** Milliseconds; as for registries. */
const FIRST_BYTE = 60_000;
const PROGRESS = 60_000;
