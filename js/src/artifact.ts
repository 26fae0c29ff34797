import { Access, type Operation } from "./access.js";
import { OciError, usage } from "./errors.js";
import type { Source } from "./source.js";
import { streamOf } from "./stream.js";
import type { LayerDescriptor, ResolvedImage } from "./types.js";
import { Collecting } from "./verified.js";

/** An artifact and its files, all of them verified. */
export interface Artifact {
  readonly image: ResolvedImage;
  /** In manifest order. */
  readonly files: readonly ArtifactFile[];
}

/** One file of an artifact. */
export interface ArtifactFile {
  /** Its title, or its digest with `-` for `:` where it has none. A safe relative path. */
  readonly name: string;
  readonly descriptor: LayerDescriptor;
  /** Whether it is a WebAssembly module or component, by type and by magic bytes. */
  readonly wasm: WasmKind | undefined;
  readonly bytes: Uint8Array;
  open(): ReadableStream<Uint8Array>;
}

/** The two kinds of WebAssembly binaries. */
export type WasmKind = "module" | "component";

/** A WebAssembly binary from a registry, verified and with its beginning checked. */
export interface WasmBinary {
  readonly image: ResolvedImage;
  readonly digest: string;
  readonly mediaType: string;
  readonly kind: WasmKind;
  readonly bytes: Uint8Array;
  /** Compiles a module, where the runtime lets code be made from bytes. */
  compile(): Promise<WebAssembly.Module>;
}

/** Fetches the files of an artifact into memory. */
export async function getArtifact(operation: Operation, from: string | Source): Promise<Artifact> {
  const access = await Access.open(operation, from);
  try {
    const image = await access.image("any");
    access.announce(image);
    const names = namesOf(operation, image);
    const contents = await collect(access, image.layers);
    const files = image.layers.map((descriptor, index) => {
      const bytes = contents.get(descriptor.digest) ?? new Uint8Array();
      const wasm = wasmKindOf(operation, descriptor, bytes);
      return { name: names[index] ?? "", descriptor, wasm, bytes, open: () => streamOf(once(bytes)) };
    });
    return { image, files };
  } finally {
    access.close();
  }
}

/** Fetches the one WebAssembly binary that a reference holds. */
export async function getWasm(operation: Operation, from: string | Source): Promise<WasmBinary> {
  const access = await Access.open(operation, from);
  try {
    const image = await access.image("any");
    const claims = image.layers.filter(({ mediaType }) => claimsWasm(operation, mediaType));
    const candidates = claims.length > 0 ? claims : image.layers;
    const [layer] = candidates;
    if (layer === undefined || candidates.length > 1) {
      const message = `${image.source} holds ${candidates.length} files where one WebAssembly binary was expected`;
      throw new OciError("not-one-file", message, { errorClass: "usage", advice: "use get() and choose one" });
    }
    access.announce({ ...image, layers: [layer] });
    const bytes = (await collect(access, [layer])).get(layer.digest) ?? new Uint8Array();
    const kind = operation.engine.call((border) => border.wasmKind(bytes)) as WasmKind;
    const { digest, mediaType } = layer;
    return { image, digest, mediaType, kind, bytes, compile: () => compile(bytes, kind) };
  } finally {
    access.close();
  }
}

async function collect(access: Access, layers: readonly LayerDescriptor[]): Promise<Map<string, Uint8Array>> {
  const { engine } = access.operation;
  const contents = new Map<string, Uint8Array>();
  const distinct = new Map(layers.map((layer) => [layer.digest, layer]));
  await access.transfer(
    async () => [...distinct.values()].filter(({ digest }) => !contents.has(digest)),
    async (layer) => {
      const collecting = new Collecting(engine, layer);
      return {
        write: (chunk) => collecting.write(chunk),
        abort: () => collecting.abort(),
        finish: async () => {
          await collecting.finish();
          contents.set(layer.digest, collecting.bytes());
        },
      };
    },
  );
  return contents;
}

function namesOf({ engine }: Operation, { layers }: ResolvedImage): string[] {
  const files = layers.map(({ digest, title }) => ({ digest, title }));
  return JSON.parse(engine.call((border) => border.artifactNames(JSON.stringify(files)))) as string[];
}

function wasmKindOf(operation: Operation, { mediaType }: LayerDescriptor, bytes: Uint8Array): WasmKind | undefined {
  if (!claimsWasm(operation, mediaType)) return undefined;
  return operation.engine.call((border) => border.wasmKind(bytes)) as WasmKind;
}

function claimsWasm({ engine }: Operation, mediaType: string): boolean {
  return engine.call((border) => border.isWasmType(mediaType));
}

async function compile(bytes: Uint8Array, kind: WasmKind): Promise<WebAssembly.Module> {
  if (kind === "component") throw usage("a component is not a module: it cannot be compiled by the runtime alone");
  try {
    return await WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
  } catch (error) {
    throw new OciError("not-supported", "the module cannot be compiled here", { errorClass: "unsupported", cause: error });
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  if (bytes.length > 0) yield bytes;
}
