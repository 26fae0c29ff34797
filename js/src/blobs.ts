import type { CachedBlob } from "./cache.js";
import type { Border, Engine } from "./engine.js";
import { OciError, storageError } from "./errors.js";
import { feed } from "./hash.js";
import type { Verdict } from "./machine.js";
import type { Sink, Sinks } from "./sink.js";
import type { Store } from "./store.js";
import { chunksOf } from "./stream.js";
import type { Descriptor } from "./types.js";

/** What is done with a blob's bytes while they are stored. */
export interface Consumer {
  /** Takes the bytes that follow, and resolves when more is wanted. The chunk is lent until then. */
  write(chunk: Uint8Array): Promise<void>;
  /** Fails where the blob is not what it should be. */
  finish(): Promise<void>;
  /** Ends it without a result; a `write` that waits must not wait any longer. */
  abort(reason: unknown): Promise<void>;
}

/** What the sinks of one plan share. */
export interface BlobWork {
  readonly store: Store;
  consumer(index: number, descriptor: Descriptor): Promise<Consumer>;
  /** Takes note of bytes that have come, counted from the blob's beginning. */
  downloaded(descriptor: Descriptor, bytes: number): void;
  verified(descriptor: Descriptor): void;
}

/** Sinks that feed a cache and a consumer with the same bytes. */
export class BlobSinks implements Sinks {
  readonly #work: BlobWork;
  #failure: BlobFailure | undefined;

  constructor(work: BlobWork) {
    this.#work = work;
  }

  /** The first error that a sink ended with: it says more than that there was one. */
  get failure(): BlobFailure | undefined {
    return this.#failure;
  }

  async open(index: number, descriptor: Descriptor): Promise<Sink> {
    const cached = await this.#work.store.open(descriptor);
    try {
      const consumer = await this.#work.consumer(index, descriptor);
      return new BlobSink(this.#work, descriptor, cached, consumer, (error) => {
        this.#failure ??= { digest: descriptor.digest, error };
      });
    } catch (error) {
      await cached?.close();
      throw error;
    }
  }
}

/** Which blob failed, and why. */
export interface BlobFailure {
  readonly digest: string;
  readonly error: unknown;
}

class BlobSink implements Sink {
  readonly stored: number | "complete";
  readonly verdict: Promise<Verdict | undefined>;
  readonly #work: BlobWork;
  readonly #descriptor: Descriptor;
  readonly #cached: CachedBlob | undefined;
  readonly #consumer: Consumer;
  readonly #failed: (error: unknown) => void;
  #settle: (verdict: Verdict | undefined) => void = () => undefined;
  #ended = false;
  #bytes = 0;
  /** What is being done now; the next thing waits for it. */
  #busy: Promise<void>;

  constructor(
    work: BlobWork,
    descriptor: Descriptor,
    cached: CachedBlob | undefined,
    consumer: Consumer,
    failed: (error: unknown) => void,
  ) {
    this.#work = work;
    this.#descriptor = descriptor;
    this.#cached = cached;
    this.#consumer = consumer;
    this.#failed = failed;
    this.stored = cached?.complete ? "complete" : (cached?.length ?? 0);
    this.verdict = new Promise((resolve) => (this.#settle = resolve));
    this.#busy = this.#attempt(() => this.#replay());
    if (this.stored === "complete") void this.seal();
  }

  async push(chunk: Uint8Array): Promise<boolean> {
    await this.#next(async () => {
      try {
        await this.#cached?.append(chunk);
      } catch (error) {
        throw storageError("cannot store a blob", error);
      }
      await this.#consume(chunk);
    });
    return !this.#ended;
  }

  seal(): Promise<void> {
    return this.#next(async () => {
      await this.#consumer.finish();
      await (this.stored === "complete" ? this.#cached?.close() : this.#cached?.commit());
      this.#ended = true;
      this.#work.verified(this.#descriptor);
      this.#settle("verified");
    });
  }

  async abort(reason: unknown): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    // Why it ends says more than that it ended badly.
    await this.#consumer.abort(reason).catch(() => undefined);
    await this.#busy;
    await this.#cached?.close().catch(() => undefined);
    this.#settle(undefined);
  }

  /** Gives the consumer what is stored, from the first byte. */
  async #replay(): Promise<void> {
    if (this.#cached === undefined || this.#cached.length === 0) return;
    for await (const chunk of chunksOf(this.#cached.bytes())) {
      if (this.#ended) return;
      await this.#consume(chunk);
    }
  }

  async #consume(chunk: Uint8Array): Promise<void> {
    await this.#consumer.write(chunk);
    this.#bytes += chunk.length;
    this.#work.downloaded(this.#descriptor, this.#bytes);
  }

  #next(work: () => Promise<void>): Promise<void> {
    this.#busy = this.#busy.then(() => (this.#ended ? undefined : this.#attempt(work)));
    return this.#busy;
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#ended) return;
      this.#ended = true;
      this.#failed(error);
      const wrong = error instanceof OciError && error.errorClass === "integrity";
      await this.#consumer.abort(error).catch(() => undefined);
      await (wrong ? this.#cached?.discard() : this.#cached?.close())?.catch(() => undefined);
      this.#settle(wrong ? "wrong" : "host-failed");
    }
  }
}

/** Checks size and digest, and does nothing else. */
export class Verifying implements Consumer {
  readonly #engine: Engine;
  #verifier: InstanceType<Border["BlobVerifier"]> | undefined;

  constructor(engine: Engine, descriptor: Descriptor) {
    this.#engine = engine;
    this.#verifier = engine.call((border) => new border.BlobVerifier(descriptor.digest, descriptor.size));
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#verifier !== undefined) feed(this.#engine, this.#verifier, chunk);
  }

  async finish(): Promise<void> {
    const verifier = this.#verifier;
    if (verifier !== undefined) this.#engine.call(() => verifier.finish());
    await this.abort();
  }

  async abort(): Promise<void> {
    const verifier = this.#verifier;
    this.#verifier = undefined;
    if (verifier !== undefined && this.#engine.alive) this.#engine.call(() => verifier.free());
  }
}
