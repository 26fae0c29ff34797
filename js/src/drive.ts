import { aborted, OciError } from "./errors.js";
import { ExchangeFailure, type Answer, type Body, type Http } from "./http.js";
import type { Effect, Input, Machine, Note } from "./machine.js";
import type { Sink, Sinks } from "./sink.js";
import type { Store } from "./store.js";
import { joined } from "./stream.js";

/** What plans are carried out with. */
export interface Host {
  readonly http: Http;
  readonly store: Store;
  readonly signal: AbortSignal | undefined;
  /** Bytes of an error's body at the most. */
  readonly errorBytes: number;
  note(note: Note): void;
}

/**
 * Carries out the plan of a machine, whose blobs go into `sinks`.
 *
 * Whatever the outcome, nothing is under way any more when the promise settles. Whether the plan
 * succeeded, `machine.call((machine) => machine.outcome())` tells.
 */
export async function drive(machine: Machine, host: Host, sinks?: Sinks): Promise<void> {
  const running = new Running(machine, host, sinks);
  try {
    await running.run();
  } catch (error) {
    await running.stop(error);
    throw error;
  }
  await running.stop(undefined);
}

/** A blob on its way into its sink. */
interface Flow {
  readonly sink: Sink;
  /** Bytes of the blob that the sink was given, from its beginning. */
  held: number;
  /** The body whose head was told, and which the machine has not decided on yet. */
  body: Body | undefined;
}

/** The work of one plan that is under way. */
class Running {
  readonly #machine: Machine;
  readonly #host: Host;
  readonly #sinks: Sinks | undefined;
  readonly #flows = new Map<number, Flow>();
  /** What ends each job's exchange. */
  readonly #exchanges = new Map<number, AbortController>();
  readonly #work = new Set<Promise<void>>();
  readonly #answers: { input: Input; bytes: Uint8Array | undefined }[] = [];
  #failure: { error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(machine: Machine, host: Host, sinks: Sinks | undefined) {
    this.#machine = machine;
    this.#host = host;
    this.#sinks = sinks;
  }

  async run(): Promise<void> {
    const { signal } = this.#host;
    const interrupt = (): void => this.#fail(aborted(signal?.reason));
    if (signal?.aborted) throw aborted(signal.reason);
    signal?.addEventListener("abort", interrupt);
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.error;
        const next = this.#machine.poll();
        if ("done" in next) return;
        if ("do" in next) {
          await this.#carryOut(next);
          continue;
        }
        const answer = await this.#answer(next.wait);
        if (answer !== undefined) this.#machine.handle(answer.input, answer.bytes, now());
      }
    } finally {
      signal?.removeEventListener("abort", interrupt);
    }
  }

  /** Ends whatever is under way, and waits until it has ended. */
  async stop(reason: unknown): Promise<void> {
    for (const exchange of this.#exchanges.values()) exchange.abort(reason);
    do {
      const flows = [...this.#flows.values()];
      this.#flows.clear();
      await Promise.all(flows.map(({ sink }) => sink.abort(reason)));
      await Promise.all(this.#work);
      // A sink that was just being opened has come meanwhile.
    } while (this.#flows.size > 0);
  }

  /** Waits for an answer, at the longest until `until`. */
  async #answer(until: number | null): Promise<{ input: Input; bytes: Uint8Array | undefined } | undefined> {
    if (this.#answers.length === 0 && this.#failure === undefined) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (until !== null) timer = setTimeout(resolve, Math.min(Math.max(0, until - now()), LONGEST_TIMER));
      });
      this.#wake = undefined;
      clearTimeout(timer);
    }
    const answer = this.#answers.shift();
    if (answer !== undefined || this.#failure !== undefined) return answer;
    return { input: { input: "tick" }, bytes: undefined };
  }

  /** Does work aside; what it throws ends the plan. */
  #aside(work: () => Promise<void>): void {
    const done = work()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#work.delete(done));
    this.#work.add(done);
  }

  #tell(input: Input, bytes?: Uint8Array): void {
    this.#answers.push({ input, bytes });
    this.#wake?.();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
  }

  async #carryOut(effect: Effect): Promise<void> {
    const { store } = this.#host;
    switch (effect.do) {
      case "look-up":
        return this.#aside(async () => {
          const bytes = await store.read(effect.digest, effect.limit);
          this.#tell({ input: bytes === undefined ? "missing" : "found", job: effect.job }, bytes);
        });
      case "recall":
        return this.#aside(async () => {
          const digest = await store.recall(effect.reference);
          const { job } = effect;
          this.#tell(digest === undefined ? { input: "missing", job } : { input: "recalled", job, digest });
        });
      case "remember":
        return store.remember(effect.reference, effect.digest);
      case "keep":
        return store.keep(effect.digest, this.#machine.takeBytes());
      case "discard":
        return store.discard(effect.digest);
      case "fetch": {
        const content = this.#machine.takeBytes();
        return this.#aside(() => this.#fetch(effect, content));
      }
      case "open":
        return this.#aside(() => this.#open(effect));
      case "stream": {
        const content = this.#machine.takeBytes();
        return this.#aside(() => this.#stream(effect, content));
      }
      case "accept":
        return this.#aside(() => this.#accept(effect));
      case "refuse": {
        const flow = this.#flows.get(effect.job);
        flow?.body?.close();
        if (flow !== undefined) flow.body = undefined;
        return;
      }
      case "seal":
        return this.#aside(async () => {
          const flow = this.#flows.get(effect.job);
          this.#flows.delete(effect.job);
          await flow?.sink.seal();
        });
      case "abort":
        return this.#abort(effect.job);
      case "note":
        return this.#host.note(effect.note);
    }
  }

  async #fetch(effect: Extract<Effect, { do: "fetch" }>, content: Uint8Array): Promise<void> {
    const { job, request, limit } = effect;
    await this.#exchange(job, async (signal) => {
      const { status, headers, body } = await this.#host.http.send(request, content, signal);
      const whole = status >= 200 && status < 300;
      const chunks = whole ? await body.whole(limit) : await body.beginning(this.#host.errorBytes);
      this.#tell({ input: "response", job, status, headers }, joined(chunks));
    });
  }

  async #stream(effect: Extract<Effect, { do: "stream" }>, content: Uint8Array): Promise<void> {
    const { job, request } = effect;
    await this.#exchange(job, async (signal) => {
      const { status, headers, body }: Answer = await this.#host.http.send(request, content, signal);
      if (status >= 400) {
        const error = joined(await body.beginning(this.#host.errorBytes));
        return this.#tell({ input: "head", job, status, headers }, error);
      }
      const flow = this.#flows.get(job);
      // Without a sink only the head is wanted.
      if (flow === undefined) body.close();
      else flow.body = body;
      this.#tell({ input: "head", job, status, headers });
    });
  }

  /** Runs an exchange; what fails below HTTP is told to the machine. */
  async #exchange(job: number, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const exchange = new AbortController();
    this.#exchanges.set(job, exchange);
    try {
      await work(exchange.signal);
    } catch (error) {
      if (exchange.signal.aborted) return;
      this.#tellFailure(job, error);
    }
  }

  #tellFailure(job: number, error: unknown): void {
    if (!(error instanceof ExchangeFailure)) throw error;
    const held = this.#flows.get(job)?.held ?? 0;
    this.#tell({ input: "failed", job, kind: error.kind, message: error.message, held });
  }

  async #open(effect: Extract<Effect, { do: "open" }>): Promise<void> {
    const { job, index, descriptor } = effect;
    if (this.#sinks === undefined) throw new Error("a plan without sinks has blobs");
    const sink = await this.#sinks.open(index, descriptor);
    const held = sink.stored === "complete" ? descriptor.size : sink.stored;
    this.#flows.set(job, { sink, held, body: undefined });
    if (this.#failure !== undefined) return;
    this.#tell({ input: "opened", job, stored: sink.stored });
    this.#aside(async () => {
      const verdict = await sink.verdict;
      if (verdict !== undefined) this.#tell({ input: "sealed", job, verdict });
    });
  }

  /** Lets a body flow into its sink, which sets the pace. */
  async #accept(effect: Extract<Effect, { do: "accept" }>): Promise<void> {
    const { job } = effect;
    const flow = this.#flows.get(job);
    const body = flow?.body;
    if (flow === undefined || body === undefined) return;
    flow.body = undefined;
    let skip = effect.skip;
    try {
      for (let chunk = await body.chunk(); chunk !== undefined; chunk = await body.chunk()) {
        const wanted = chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - wanted.length;
        if (wanted.length === 0) continue;
        if (!(await flow.sink.push(wanted))) return body.close();
        flow.held += wanted.length;
      }
      this.#tell({ input: "body-end", job, held: flow.held });
    } catch (error) {
      body.close();
      if (error instanceof OciError && error.code === "aborted") return;
      this.#tellFailure(job, error);
    }
  }

  async #abort(job: number): Promise<void> {
    this.#exchanges.get(job)?.abort();
    this.#exchanges.delete(job);
    const flow = this.#flows.get(job);
    this.#flows.delete(job);
    flow?.body?.close();
    await flow?.sink.abort(undefined);
  }
}

/** Milliseconds on a clock that never goes back, and that all plans share: tokens outlive a plan. */
function now(): number {
  return Math.ceil(performance.now());
}

/** Timers overflow beyond 31 bits of milliseconds, and then go off at once. Waking early does no harm. */
const LONGEST_TIMER = 2 ** 31 - 1;
