import { engine, type Engine } from "../engine.js";
import { OciError, usage } from "../errors.js";
import type { Source, SourceImage, SourceOptions } from "../source.js";
import { joined, streamOf } from "../stream.js";
import type { Descriptor } from "../types.js";
import { incomplete } from "./incomplete.js";
import { StaticFile, type Answer } from "./static-file.js";

/** How an image is found in a layout on a static host. */
export interface StaticLayoutOptions {
  /** Its name in the layout's index; without it, what follows `#` in the address. */
  readonly name?: string;
  /** Headers for every request, for a host that asks who comes. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * An image in an OCI image layout that a static host serves as files, as `layout()` writes them.
 *
 * ```js
 * const image = await client.pull(staticLayout("https://files.example/images#app:1"));
 * ```
 */
export function staticLayout(url: string | URL, options: StaticLayoutOptions = {}): Source {
  const base = addressOf(url);
  const name = options.name ?? (base.hash === "" ? undefined : decodeURIComponent(base.hash.slice(1)));
  base.hash = "";
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  const typed = `${base.origin}${base.pathname}${name === undefined ? "" : `#${name}`}`;
  return {
    name: typed,
    find: async (given) => new StaticLayout(await engine(), base, options, given).find(name),
  };
}

/** Reads the address; in a page, relative to the page. */
function addressOf(url: string | URL): URL {
  let base: URL;
  try {
    base = new URL(url, globalThis.location?.href);
  } catch {
    throw usage("a layout's address is a URL");
  }
  const isOwn = base.origin === globalThis.location?.origin;
  const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(base.hostname);
  if (base.protocol === "https:" || (base.protocol === "http:" && (isOwn || isLoopback))) return base;
  throw new OciError("unsafe-url", `${base.protocol}//${base.host} is neither https nor on loopback`, {
    errorClass: "refused",
    advice: "serve the layout over https",
  });
}

class StaticLayout {
  readonly #engine: Engine;
  readonly #base: URL;
  readonly #options: StaticLayoutOptions;
  readonly #given: SourceOptions;

  constructor(engine: Engine, base: URL, options: StaticLayoutOptions, given: SourceOptions) {
    this.#engine = engine;
    this.#base = base;
    this.#options = options;
    this.#given = given;
  }

  async find(name: string | undefined): Promise<SourceImage> {
    const where = this.#base.href;
    const marker = await this.#whole("oci-layout", MARKER_BYTES);
    if (marker === undefined) {
      throw new OciError("other-kind-of-source", `${where} is not an OCI image layout`, { errorClass: "not-found" });
    }
    const index = await this.#whole("index.json", this.#given.limits.manifestBytes);
    if (index === undefined) throw incomplete(where, "index.json");
    const top = this.#engine.call((border) => {
      border.checkLayoutMarker(marker);
      return JSON.parse(border.layoutFind(index, name)) as Descriptor;
    });
    return {
      top,
      warnings: [],
      read: (digest, limit) => this.#whole(this.#pathOf(digest), limit),
      stream: async ({ digest, size }, offset) => {
        const file = this.#file(this.#pathOf(digest));
        // Asked here, so that a blob that is missing shows before anything is made ready for it.
        const answer = await file.ask(offset);
        return answer === undefined ? undefined : streamOf(file.pieces(answer, offset, size));
      },
      close(): void {},
    };
  }

  /** Reads a small file; `undefined` where it is missing or longer than `limit`. */
  async #whole(path: string, limit: number): Promise<Uint8Array | undefined> {
    const file = this.#file(path);
    const answer: Answer | undefined = await file.ask(0);
    if (answer === undefined) return undefined;
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of file.pieces(answer, 0)) {
      length += piece.length;
      if (length > limit) return undefined;
      pieces.push(piece);
    }
    return joined(pieces);
  }

  #pathOf(digest: string): string {
    return this.#engine.call((border) => border.blobPath(digest));
  }

  #file(path: string): StaticFile {
    // A query that opens the host's door stays on every address.
    const url = new URL(path, this.#base);
    url.search = this.#base.search;
    return new StaticFile(url, this.#options.headers ?? {}, this.#given);
  }
}

const MARKER_BYTES = 64 << 10;
