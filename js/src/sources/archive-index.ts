import type { Border, Engine } from "../engine.js";
import type { RandomAccess } from "./content.js";

/** A tar archive whose members are read in place; of members with one name the last counts. */
export class ArchiveIndex {
  readonly #engine: Engine;
  readonly #content: RandomAccess;
  readonly #index: BorderIndex;

  /** Reads the headers and skips the content. */
  static async read(engine: Engine, content: RandomAccess): Promise<ArchiveIndex> {
    const indexer = engine.call((border) => new border.ArchiveIndexer());
    for (let offset = 0; offset < content.size; ) {
      const capacity = engine.call(() => indexer.input().length);
      const chunk = await content.read(offset, Math.min(capacity, content.size - offset));
      offset += chunk.length;
      const ahead = engine.call(() => {
        indexer.input().set(chunk);
        return indexer.push(chunk.length);
      });
      // What the archive does not hold must not be skipped, or a cut would go unnoticed.
      const skipped = Math.min(ahead, content.size - offset);
      engine.call(() => indexer.skip(skipped));
      offset += skipped;
    }
    return new ArchiveIndex(engine, content, engine.call(() => indexer.finish()));
  }

  private constructor(engine: Engine, content: RandomAccess, index: BorderIndex) {
    this.#engine = engine;
    this.#content = content;
    this.#index = index;
  }

  /** Returns where a file's content lies; a link leads there, too. */
  locate(path: string): Location | undefined {
    const found = this.#engine.call(() => this.#index.locate(path));
    return found === undefined ? undefined : (JSON.parse(found) as Location);
  }

  /** Reads a file whole; `undefined` where it is missing or longer than `limit`. */
  async read(path: string, limit: number): Promise<Uint8Array | undefined> {
    const place = this.locate(path);
    if (place === undefined || place.size > limit) return undefined;
    return this.#content.read(place.offset, place.size);
  }

  beginning({ offset, size }: Location, length: number): Promise<Uint8Array> {
    return this.#content.read(offset, Math.min(size, length));
  }

  /** Yields what a member holds, from byte `from` on. */
  pieces({ offset, size }: Location, from: number): AsyncGenerator<Uint8Array, void, void> {
    return this.#content.pieces(offset + from, Math.max(0, size - from));
  }

  close(): void {
    if (this.#engine.alive) this.#engine.call(() => this.#index.free());
    this.#content.close();
  }
}

/** Where a member's content lies in its archive. */
export interface Location {
  readonly offset: number;
  readonly size: number;
}

type BorderIndex = ReturnType<InstanceType<Border["ArchiveIndexer"]>["finish"]>;
