import { decodeHere } from "./decoding.js";
import { compiledModule } from "./engine.js";
import { closed } from "./errors.js";
import type { Decoding, LayerFeed, LayerSpec, PackPlace } from "./layer.js";
import { Decoder } from "./remote.js";

/**
 * Decodes layers in Workers, so that the page stays alive: at most as many as there are layers at once,
 * and one less than there are processors.
 *
 * Where no Worker can be started, which a page's policy can forbid, this thread decodes, and each
 * layer's report says so.
 */
export function decodeInWorkers(concurrency: number): Decoding {
  const processors = globalThis.navigator?.hardwareConcurrency ?? 2;
  return new Pool(Math.max(1, Math.min(processors - 1, concurrency)));
}

class Pool implements Decoding {
  readonly #most: number;
  /** Running Workers, and those that are being started. */
  readonly #decoders = new Set<Promise<Decoder>>();
  readonly #running = new Map<Decoder, Promise<Decoder>>();
  readonly #idle = new Map<Decoder, ReturnType<typeof setTimeout>>();
  readonly #here: Decoding = decodeHere();
  /** Why no Worker can be started. */
  #refused: unknown;
  #closed = false;

  constructor(most: number) {
    this.#most = most;
  }

  async open(spec: LayerSpec, place: PackPlace): Promise<LayerFeed> {
    if (this.#closed) throw closed("the client");
    const decoder = await this.#decoder();
    if (decoder === undefined) return warning(await this.#here.open(spec, place));
    this.#stay(decoder);
    return decoder.open(spec, place);
  }

  close(): void {
    this.#closed = true;
    for (const decoder of this.#running.keys()) decoder.end(closed("the client"));
    this.#here.close();
  }

  /** Returns the Worker that has least to do, a new one while there may be more. */
  async #decoder(): Promise<Decoder | undefined> {
    if (this.#refused !== undefined) return undefined;
    const least = [...this.#running.keys()].sort((one, other) => one.load - other.load)[0];
    if (least?.load === 0) return least;
    if (this.#decoders.size >= this.#most) return least ?? this.#first();
    return (await this.#start()) ?? least;
  }

  /** Every Worker is just being started. */
  async #first(): Promise<Decoder | undefined> {
    await Promise.any(this.#decoders).catch(() => undefined);
    return this.#decoder();
  }

  async #start(): Promise<Decoder | undefined> {
    const starting = start();
    this.#decoders.add(starting);
    try {
      const decoder = await starting;
      this.#running.set(decoder, starting);
      decoder.onchange = () => this.#changed(decoder);
      if (this.#closed) decoder.end(closed("the client"));
      return decoder;
    } catch (error) {
      this.#decoders.delete(starting);
      if (this.#running.size === 0) this.#refused = error;
      return undefined;
    }
  }

  #changed(decoder: Decoder): void {
    this.#stay(decoder);
    if (!decoder.alive) {
      const starting = this.#running.get(decoder);
      this.#running.delete(decoder);
      if (starting !== undefined) this.#decoders.delete(starting);
    } else if (decoder.load === 0) {
      this.#idle.set(decoder, setTimeout(() => decoder.end(closed("an idle Worker")), IDLE));
    }
  }

  /** It is not idle any more. */
  #stay(decoder: Decoder): void {
    clearTimeout(this.#idle.get(decoder));
    this.#idle.delete(decoder);
  }
}

async function start(): Promise<Decoder> {
  const module = await compiledModule();
  // Bundlers find the Worker by exactly this form.
  return Decoder.start(new Worker(new URL("./worker.js", import.meta.url), { type: "module" }), module);
}

/** Lets a layer's report say where it was decoded. */
function warning(feed: LayerFeed): LayerFeed {
  return {
    write: (chunk) => feed.write(chunk),
    abort: (reason) => feed.abort(reason),
    finish: async () => {
      const layer = await feed.finish();
      return { ...layer, report: { ...layer.report, warnings: [...layer.report.warnings, NO_WORKER] } };
    },
  };
}

const NO_WORKER = "layers are decoded in the page's own thread, because no Worker could be started";

/** How long a Worker with nothing to do stays, in milliseconds: until the next image of a series. */
const IDLE = 10_000;
