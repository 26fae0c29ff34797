import { Access, warn, type Operation } from "./access.js";
import type { Consumer } from "./blobs.js";
import type { Destination, MergedLayer, Staging } from "./destination.js";
import { throwIfAborted, usage } from "./errors.js";
import { PackFileSystem } from "./file-system.js";
import { joinReports, Pulled } from "./image.js";
import type { DecodedLayer, Decoding, LayerSpec } from "./layer.js";
import type { Source } from "./source.js";
import { checkMerge, mergeLayers } from "./tree.js";
import type { LayerDescriptor, Limits, NamePolicy, PulledImage, ResolvedImage } from "./types.js";

/** What is pulled, and where to. */
export interface FilePull {
  readonly sources: readonly (string | Source)[];
  readonly destination: Destination;
  readonly paths: readonly string[];
  /** What becomes of names that Windows cannot hold; the destination may be stricter. */
  readonly names: NamePolicy;
  readonly decoding: Decoding;
  /** Limits that differ from the defaults. */
  readonly limits: Partial<Limits>;
}

/** Unpacks images, one on top of the other, into one destination. */
export async function pullFiles(operation: Operation, pull: FilePull): Promise<PulledImage> {
  const { sources, destination, paths, limits } = pull;
  const names = destination.names ?? pull.names;
  const { platform, signal } = operation;
  const references = sources.map((source) => (typeof source === "string" ? source : source.name));
  // What cannot be done is refused before anything is fetched.
  checkMerge(operation.engine, { limits, paths, names });
  const staging = await destination.begin({ references, platform, paths, limits, signal });
  const layers = new Layers(operation, pull, staging);
  try {
    const images = await layers.fetch();
    throwIfAborted(signal);
    const merged = layers.inOrder(images);
    const decoded = merged.map(({ layer }) => layer);
    const tree = await mergeLayers(operation.engine, decoded, { limits, paths, names });
    const { counts, report } = tree;
    const whole = new PackFileSystem(tree, decoded.map(({ pack }) => pack));
    try {
      const files = await staging.complete({ images, layers: merged, tree, files: whole });
      const warnings = [...operation.warnings];
      return new Pulled({ images, counts, report: joinReports(report, staging.report?.()), warnings, files });
    } catch (error) {
      whole.close();
      throw error;
    }
  } catch (error) {
    layers.close();
    // What cannot be removed now is the next pull's to remove; this error is what the caller has to know.
    await staging.abort(error).catch(() => undefined);
    throw error;
  }
}

/** The layers of all images, each decoded once. */
class Layers {
  readonly #operation: Operation;
  readonly #pull: FilePull;
  readonly #staging: Staging;
  readonly #decoded = new Map<string, DecodedLayer>();

  constructor(operation: Operation, pull: FilePull, staging: Staging) {
    this.#operation = operation;
    this.#pull = pull;
    this.#staging = staging;
  }

  /** Resolves every image before the first layer is fetched, then brings all layers. */
  async fetch(): Promise<ResolvedImage[]> {
    const images: [Access, ResolvedImage][] = [];
    try {
      for (const source of this.#pull.sources) {
        const access = await Access.open(this.#operation, source);
        try {
          const image = await access.image("unpackable");
          access.announce(image);
          images.push([access, image]);
        } catch (error) {
          access.close();
          throw error;
        }
      }
      for (const [access, image] of images) await this.#bring(access, image);
      return images.map(([, image]) => image);
    } finally {
      for (const [access] of images) access.close();
    }
  }

  /** Returns the layers of all images in the order in which they are applied. */
  inOrder(images: readonly ResolvedImage[]): MergedLayer[] {
    return images.flatMap((image) =>
      image.layers.map((descriptor) => {
        const spec = specOf(descriptor, this.#pull.limits);
        const layer = this.#decoded.get(keyOf(spec));
        if (layer === undefined) throw new Error("a layer was not decoded");
        return { spec, layer };
      }),
    );
  }

  close(): void {
    for (const { pack } of this.#decoded.values()) pack.close();
    this.#decoded.clear();
  }

  #bring(access: Access, image: ResolvedImage): Promise<void> {
    return access.transfer(
      () => this.#missing(image),
      (layer) => this.#decode(specOf(layer, this.#pull.limits)),
    );
  }

  /** Returns the layers that are neither decoded nor at the destination, each once. */
  async #missing(image: ResolvedImage): Promise<LayerDescriptor[]> {
    const missing = new Map<string, LayerDescriptor>();
    for (const layer of image.layers) {
      const spec = specOf(layer, this.#pull.limits);
      const key = keyOf(spec);
      if (this.#decoded.has(key) || missing.has(key)) continue;
      const found = await this.#staging.find(spec);
      if (found === undefined) missing.set(key, layer);
      else this.#take(spec, found);
    }
    return [...missing.values()];
  }

  async #decode(spec: LayerSpec): Promise<Consumer> {
    const feed = await this.#pull.decoding.open(spec, this.#staging.place(spec));
    return {
      write: (chunk) => feed.write(chunk),
      finish: async () => {
        const layer = await feed.finish();
        this.#take(spec, layer);
        await this.#staging.decoded(spec, layer);
      },
      abort: (reason) => feed.abort(reason),
    };
  }

  #take(spec: LayerSpec, layer: DecodedLayer): void {
    this.#decoded.set(keyOf(spec), layer);
    for (const warning of layer.report.warnings) warn(this.#operation, warning);
  }
}

/** Says what a layer of an image must turn out to be. */
export function specOf({ digest, size, mediaType, diffId }: LayerDescriptor, limits: Partial<Limits>): LayerSpec {
  if (diffId === undefined) throw usage(`${digest} is no layer of an image`);
  return { digest, size, diffId, mediaType, limits };
}

function keyOf({ digest, diffId, mediaType, size }: LayerSpec): string {
  return JSON.stringify([digest, diffId, mediaType, size]);
}
