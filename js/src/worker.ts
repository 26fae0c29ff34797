import { openFeed } from "./decoding.js";
import { engine, useLoader } from "./engine.js";
import type { LayerFeed, Pack, PackPlace, PackWriter } from "./layer.js";
import { writePack } from "./opfs/pack.js";
import { BLOCK, openPack } from "./pack.js";
import { plainError, type FromWorker, type ToWorker } from "./protocol.js";

// A Worker that decodes layers for a page; pool.ts starts it.

addEventListener("message", (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  if (message.tell === "start") void start(message.module);
  else if (message.tell === "open") layers.set(message.id, new Layer(message));
  else layers.get(message.id)?.take(message);
});

async function start(module: WebAssembly.Module): Promise<void> {
  useLoader(() => module);
  try {
    await engine();
    tell({ told: "started" });
  } catch (error) {
    tell({ told: "not-started", error: plainError(error) });
  }
}

type Told<T extends ToWorker["tell"]> = Extract<ToWorker, { tell: T }>;

/** One layer; its messages are done one after another, but an abort is done at once. */
class Layer {
  readonly #id: number;
  readonly #feed: Promise<LayerFeed>;
  #busy: Promise<void>;
  #ended = false;

  constructor({ id, spec, place }: Told<"open">) {
    this.#id = id;
    this.#feed = openFeed(spec, () => openWriter(id, place), "view");
    this.#busy = this.#attempt(async () => {
      await this.#feed;
      tell({ told: "opened", id });
    });
  }

  take(message: Told<"write" | "finish" | "abort">): void {
    if (message.tell === "abort") void this.#abort();
    else this.#busy = this.#busy.then(() => this.#attempt(() => this.#do(message)));
  }

  async #do(message: Told<"write" | "finish">): Promise<void> {
    const id = this.#id;
    const feed = await this.#feed;
    if (message.tell === "write") {
      const { buffer, length } = message;
      await feed.write(new Uint8Array(buffer, 0, length));
      tell({ told: "written", id, buffer }, [buffer]);
      return;
    }
    const { index, pack, report } = await feed.finish();
    pack.close();
    if (this.#ended) return;
    this.#end();
    tell({ told: "finished", id, layer: { index, packLength: pack.length, report } }, [index.buffer]);
  }

  async #abort(): Promise<void> {
    if (this.#ended) return;
    this.#end();
    await this.#discard();
    tell({ told: "aborted", id: this.#id });
  }

  /** Does one thing; the first that fails ends the layer. */
  async #attempt(work: () => Promise<void>): Promise<void> {
    if (this.#ended) return;
    try {
      await work();
    } catch (error) {
      // What an abort has taken away fails too.
      if (this.#ended) return;
      this.#end();
      await this.#discard();
      tell({ told: "failed", id: this.#id, error: plainError(error) });
    }
  }

  async #discard(): Promise<void> {
    try {
      await (await this.#feed).abort(undefined);
    } catch {
      // What could not be taken away now is swept later.
    }
  }

  #end(): void {
    this.#ended = true;
    layers.delete(this.#id);
  }
}

function openWriter(id: number, place: PackPlace): Promise<PackWriter> {
  if (place.kind === "memory") return Promise.resolve(new SendingWriter(id));
  if (place.kind === "opfs") return writePack(place);
  return openPack(place);
}

/** Sends contents to the page, a block at a time, so that they are never here twice. */
class SendingWriter implements PackWriter {
  readonly #id: number;
  #block = new Uint8Array(BLOCK);
  #filled = 0;
  #sent = 0;

  constructor(id: number) {
    this.#id = id;
  }

  append(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0; ) {
      const taken = rest.subarray(0, BLOCK - this.#filled);
      this.#block.set(taken, this.#filled);
      this.#filled += taken.length;
      rest = rest.subarray(taken.length);
      if (this.#filled === BLOCK) {
        this.#send(this.#block);
        this.#block = new Uint8Array(BLOCK);
        this.#filled = 0;
      }
    }
  }

  async finish(): Promise<Pack> {
    if (this.#filled > 0) this.#send(this.#block.slice(0, this.#filled));
    const length = this.#sent;
    return { length, read: () => Promise.reject(new Error("its content was sent")), close: () => undefined };
  }

  async abort(): Promise<void> {}

  #send(block: Uint8Array<ArrayBuffer>): void {
    this.#sent += block.length;
    tell({ told: "packed", id: this.#id, block }, [block.buffer]);
  }
}

function tell(message: FromWorker, transfer: ArrayBufferLike[] = []): void {
  postMessage(message, { transfer: transfer as ArrayBuffer[] });
}

const layers = new Map<number, Layer>();
