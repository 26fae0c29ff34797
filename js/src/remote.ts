import { OciError } from "./errors.js";
import type { DecodedLayer, LayerFeed, LayerSpec, Pack, PackPlace } from "./layer.js";
import { readPack } from "./opfs/pack.js";
import { memoryPack } from "./pack.js";
import { errorOf, type FinishedLayer, type FromWorker, type ToWorker } from "./protocol.js";

/** A Worker that decodes layers, as the page sees it. */
export class Decoder {
  /** Called whenever a layer has ended or the Worker has died. */
  onchange: () => void = () => undefined;
  readonly #worker: Worker;
  readonly #feeds = new Map<number, RemoteFeed>();
  #opened = 0;
  #dead: OciError | undefined;

  /** Makes a running Worker ready; fails where it cannot start, which a page's policy can forbid. */
  static start(worker: Worker, module: WebAssembly.Module): Promise<Decoder> {
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown): void => {
        clearTimeout(patience);
        worker.terminate();
        reject(cause);
      };
      const patience = setTimeout(() => fail(new Error("the Worker did not answer")), START);
      worker.onerror = (event) => {
        event.preventDefault();
        fail(new Error(event.message ?? "the Worker's script could not be loaded"));
      };
      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        if (data.told === "not-started") fail(errorOf(data.error));
        if (data.told !== "started") return;
        clearTimeout(patience);
        resolve(new Decoder(worker));
      };
      worker.postMessage({ tell: "start", module } satisfies ToWorker);
    });
  }

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#answer(data);
    worker.onmessageerror = () => this.#die("a Worker sent something unreadable");
    worker.onerror = (event) => {
      event.preventDefault();
      this.#die(`a Worker ended: ${event.message ?? "for an unknown reason"}`);
    };
  }

  get alive(): boolean {
    return this.#dead === undefined;
  }

  /** How many layers it is decoding. */
  get load(): number {
    return this.#feeds.size;
  }

  async open(spec: LayerSpec, place: PackPlace): Promise<LayerFeed> {
    if (this.#dead !== undefined) throw this.#dead;
    const id = this.#opened;
    this.#opened += 1;
    const feed = new RemoteFeed(id, place, (message, transfer) => this.#worker.postMessage(message, transfer));
    this.#feeds.set(id, feed);
    this.#worker.postMessage({ tell: "open", id, spec, place } satisfies ToWorker);
    await feed.opened;
    return feed;
  }

  /** Ends the Worker; layers that it is decoding fail. */
  end(error: OciError): void {
    if (this.#dead !== undefined) return;
    this.#dead = error;
    this.#worker.terminate();
    const feeds = [...this.#feeds.values()];
    this.#feeds.clear();
    for (const feed of feeds) feed.fail(error);
    this.onchange();
  }

  #answer(message: FromWorker): void {
    if (!("id" in message)) return;
    const feed = this.#feeds.get(message.id);
    feed?.answer(message);
    if (message.told === "finished" || message.told === "aborted" || message.told === "failed") {
      this.#feeds.delete(message.id);
      // Its module has trapped: a fresh Worker has fresh memory too.
      if (message.told === "failed" && message.error.code === "panic") this.end(errorOf(message.error));
      else this.onchange();
    }
  }

  #die(message: string): void {
    this.end(new OciError("panic", message, { errorClass: "internal" }));
  }
}

type Answer = Exclude<FromWorker, { told: "started" | "not-started" }>;

/** One layer that is decoded in a Worker. */
class RemoteFeed implements LayerFeed {
  readonly opened: Promise<void>;
  readonly #id: number;
  readonly #place: PackPlace;
  readonly #send: (message: ToWorker, transfer: Transferable[]) => void;
  /** What is held in memory for the Worker, of the layer's content. */
  readonly #blocks: Uint8Array[] = [];
  /** Buffers that are here, to be filled again. */
  readonly #buffers: ArrayBuffer[] = [];
  #made = 0;
  #filling: Uint8Array<ArrayBuffer> | undefined;
  #filled = 0;
  #failure: { readonly error: unknown } | undefined;
  #ended = false;
  readonly #opening = new Waiting<undefined>();
  readonly #room = new Waiting<undefined>();
  readonly #outcome = new Waiting<FinishedLayer>();
  readonly #gone = new Waiting<undefined>();

  constructor(id: number, place: PackPlace, send: (message: ToWorker, transfer: Transferable[]) => void) {
    this.#id = id;
    this.#place = place;
    this.#send = send;
    this.opened = this.#opening.begin();
  }

  async write(chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.length > 0; ) {
      this.#filling ??= await this.#buffer();
      const taken = rest.subarray(0, this.#filling.length - this.#filled);
      this.#filling.set(taken, this.#filled);
      this.#filled += taken.length;
      rest = rest.subarray(taken.length);
      if (this.#filled === this.#filling.length) this.#flush();
    }
  }

  async finish(): Promise<DecodedLayer> {
    this.#check();
    this.#flush();
    const finished = this.#outcome.begin();
    this.#send({ tell: "finish", id: this.#id }, []);
    const { index, report, packLength } = await finished;
    return { index, report, pack: await this.#pack(packLength) };
  }

  async abort(reason: unknown): Promise<void> {
    if (this.#ended) return;
    this.#reject(reason);
    const gone = this.#gone.begin();
    this.#send({ tell: "abort", id: this.#id }, []);
    await gone;
  }

  answer(message: Answer): void {
    switch (message.told) {
      case "opened":
        return this.#opening.end(undefined);
      case "written":
        this.#buffers.push(message.buffer);
        return this.#room.end(undefined);
      case "packed":
        this.#blocks.push(message.block);
        return;
      case "finished":
        this.#ended = true;
        this.#outcome.end(message.layer);
        return this.#gone.end(undefined);
      case "aborted":
        this.#ended = true;
        return this.#gone.end(undefined);
      case "failed":
        return this.fail(errorOf(message.error));
    }
  }

  /** The Worker has nothing of it any more. */
  fail(error: unknown): void {
    this.#ended = true;
    this.#reject(error);
    this.#gone.end(undefined);
  }

  /** What waits does not wait any longer. */
  #reject(error: unknown): void {
    this.#failure ??= { error };
    this.#opening.fail(error);
    this.#room.fail(error);
    this.#outcome.fail(error);
  }

  /** Returns an empty buffer, and waits for one where enough are on their way. */
  async #buffer(): Promise<Uint8Array<ArrayBuffer>> {
    for (;;) {
      this.#check();
      const buffer = this.#buffers.pop();
      if (buffer !== undefined) return new Uint8Array(buffer);
      if (this.#made < BUFFERS) {
        this.#made += 1;
        return new Uint8Array(BUFFER);
      }
      await this.#room.begin();
    }
  }

  #flush(): void {
    const bytes = this.#filling;
    if (bytes === undefined) return;
    const { buffer } = bytes;
    this.#send({ tell: "write", id: this.#id, buffer, length: this.#filled }, [buffer]);
    this.#filling = undefined;
    this.#filled = 0;
  }

  #pack(length: number): Promise<Pack> {
    if (this.#place.kind === "opfs") return readPack(this.#place.directory, this.#place.name, length);
    return Promise.resolve(memoryPack(this.#blocks, length));
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** A promise that is made anew each time something is waited for. */
class Waiting<T> {
  #settle: { readonly resolve: (value: T) => void; readonly reject: (error: unknown) => void } | undefined;

  begin(): Promise<T> {
    return new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
  }

  end(value: T): void {
    this.#settle?.resolve(value);
    this.#settle = undefined;
  }

  fail(error: unknown): void {
    this.#settle?.reject(error);
    this.#settle = undefined;
  }
}

/** Large enough that messages cost little, small enough that a Worker soon sees an abort. */
const BUFFER = 256 << 10;
/** Buffers of one layer: one is filled, one is decoded, two are on their way. */
const BUFFERS = 4;
/** How long a Worker's script may take to load, in milliseconds; then this thread does the work. */
const START = 15_000;
