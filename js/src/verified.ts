import { Verifying, type Consumer } from "./blobs.js";
import type { Engine } from "./engine.js";
import { OciError } from "./errors.js";
import { joined } from "./stream.js";
import type { Descriptor } from "./types.js";

/** Collects a blob in memory. It is whole and verified when the transfer has succeeded. */
export class Collecting implements Consumer {
  readonly #verifying: Verifying;
  #chunks: Uint8Array[] = [];

  constructor(engine: Engine, descriptor: Descriptor) {
    this.#verifying = new Verifying(engine, descriptor);
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#verifying.write(chunk);
    this.#chunks.push(chunk.slice());
  }

  finish(): Promise<void> {
    return this.#verifying.finish();
  }

  abort(): Promise<void> {
    this.#chunks = [];
    return this.#verifying.abort();
  }

  bytes(): Uint8Array {
    return joined(this.#chunks);
  }
}

/**
 * A stream of a blob that is verified while it is read.
 *
 * Its last chunk is held back until size and digest are known to be right: whoever reads to the end has
 * read what was asked for, and a blob that is wrong ends in an error instead.
 */
export class VerifiedStream {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #engine: Engine;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #begun = false;
  #ended = false;
  /** Lets a writer go on that waits for the reader. */
  #proceed: () => void = () => undefined;

  constructor(engine: Engine, cancelled: (reason: unknown) => void) {
    this.#engine = engine;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#proceed(),
        cancel: (reason) => {
          this.#ended = true;
          this.#proceed();
          cancelled(reason);
        },
      },
      { highWaterMark: 1 },
    );
  }

  /** Makes what fills the stream. Nothing can begin anew once something was handed out. */
  consumer(descriptor: Descriptor): Consumer {
    if (this.#begun) {
      const message = `the stored bytes of ${descriptor.digest} were wrong`;
      throw new OciError("stale", message, { errorClass: "integrity", advice: "ask for it again: it was discarded" });
    }
    const verifying = new Verifying(this.#engine, descriptor);
    let held: Uint8Array | undefined;
    return {
      write: async (chunk) => {
        await verifying.write(chunk);
        const before = held;
        held = chunk.slice();
        if (before !== undefined) await this.#hand(before);
      },
      finish: async () => {
        await verifying.finish();
        if (this.#ended) return;
        if (held !== undefined) this.#controller?.enqueue(held);
        this.#controller?.close();
        this.#ended = true;
      },
      abort: async () => {
        this.#proceed();
        await verifying.abort();
      },
    };
  }

  /** Ends the stream with an error, if it has not ended. */
  fail(error: unknown): void {
    if (!this.#ended) this.#controller?.error(error);
    this.#ended = true;
  }

  /** Hands a chunk out, and waits until the next is wanted. */
  async #hand(chunk: Uint8Array): Promise<void> {
    if (this.#ended || this.#controller === undefined) return;
    this.#begun = true;
    this.#controller.enqueue(chunk);
    if ((this.#controller.desiredSize ?? 1) > 0) return;
    await new Promise<void>((resolve) => (this.#proceed = resolve));
  }
}
