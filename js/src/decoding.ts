import { engine, type Border, type Engine } from "./engine.js";
import type { DecodedLayer, Decoding, LayerFeed, LayerReport, LayerSpec, PackPlace, PackWriter } from "./layer.js";
import { openPack } from "./pack.js";
import { pause } from "./pause.js";

/** Decodes layers in the thread that calls it. */
export function decodeHere(): Decoding {
  return {
    open: (spec: LayerSpec, place: PackPlace) =>
      openFeed(spec, () => openPack(place), place.kind === "memory" ? "view" : "copy"),
    close(): void {},
  };
}

/** What a pack is lent: a view does not outlive the next call of another layer, a copy does. */
type Lent = "view" | "copy";

/** Begins to decode a layer into any pack; one that copies before it returns can be lent views. */
export async function openFeed(spec: LayerSpec, open: () => Promise<PackWriter>, lent: Lent): Promise<LayerFeed> {
  const living = await engine();
  const decoder = living.call((border) => new border.LayerDecoder(JSON.stringify(spec)));
  try {
    return new Feed(living, decoder, await open(), lent);
  } catch (error) {
    decoder.free();
    throw error;
  }
}

type LayerDecoder = InstanceType<Border["LayerDecoder"]>;

class Feed implements LayerFeed {
  readonly #engine: Engine;
  readonly #pack: PackWriter;
  readonly #lent: Lent;
  #decoder: LayerDecoder | undefined;

  constructor(engine: Engine, decoder: LayerDecoder, pack: PackWriter, lent: Lent) {
    this.#engine = engine;
    this.#decoder = decoder;
    this.#pack = pack;
    this.#lent = lent;
  }

  async write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      await pause();
      let length = this.#call((decoder) => {
        const input = decoder.input();
        const piece = chunk.subarray(at, at + input.length);
        input.set(piece);
        at += piece.length;
        return piece.length;
      });
      while (!this.#call((decoder) => decoder.step(length))) {
        await this.#empty();
        length = 0;
      }
    }
  }

  async finish(): Promise<DecodedLayer> {
    const report = JSON.parse(this.#call((decoder) => decoder.finish())) as LayerReport;
    await this.#empty();
    const index = this.#call((decoder) => decoder.index());
    this.#free();
    return { index, pack: await this.#pack.finish(), report };
  }

  async abort(): Promise<void> {
    this.#free();
    await this.#pack.abort();
  }

  /** Takes what was decoded. */
  async #empty(): Promise<void> {
    const output = this.#call((decoder) => decoder.output());
    if (output.length > 0) {
      const written = this.#pack.append(this.#lent === "copy" ? output.slice() : output);
      if (written !== undefined) await written;
    }
    this.#call((decoder) => decoder.clearOutput());
  }

  #call<T>(work: (decoder: LayerDecoder) => T): T {
    const decoder = this.#decoder;
    if (decoder === undefined) throw new Error("a layer's feed was used after its end");
    return this.#engine.call(() => work(decoder));
  }

  #free(): void {
    const decoder = this.#decoder;
    this.#decoder = undefined;
    if (decoder !== undefined && this.#engine.alive) this.#engine.call(() => decoder.free());
  }
}
