import { Access, type Operation } from "./access.js";
import { getArtifact, getWasm, type Artifact, type WasmBinary } from "./artifact.js";
import type { BlobCache } from "./cache.js";
import { copyBlobs } from "./copy.js";
import type { BlobDestination, Destination, ImageStore, StoredImage } from "./destination.js";
import { memory } from "./destinations/memory.js";
import { dispose } from "./disposal.js";
import { engine } from "./engine.js";
import { closed, OciError, throwIfAborted, usage } from "./errors.js";
import { Http } from "./http.js";
import type { Decoding } from "./layer.js";
import { pullFiles } from "./pull.js";
import { runtime } from "./runtime.js";
import { CONCURRENCY, credentialsOf, DEADLINES, limitsOf, PLATFORM, type ClientOptions } from "./settings.js";
import type { Source } from "./source.js";
import type { CopiedImage, Descriptor, ImageConfig, NamePolicy, Progress, PulledImage, RawManifest, ResolvedImage } from "./types.js";
import { VerifiedStream } from "./verified.js";

/** What every call can be given. */
export interface CallOptions {
  /** Ends the call with an error of code `aborted`. */
  readonly signal?: AbortSignal;
  /** Is told what happens; called often, so it should return at once. */
  readonly onProgress?: (event: Progress) => void;
  /** The platform, for this call alone. */
  readonly platform?: string;
}

/** How an image is unpacked. */
export interface PullOptions extends CallOptions {
  /** Where the files go; into memory where nothing is said. */
  readonly to?: Destination;
  /** Paths to unpack, with all below them; everything where nothing is said. */
  readonly path?: string | readonly string[];
  /** What becomes of names that Windows cannot hold: `any` where nothing is said. */
  readonly names?: NamePolicy;
}

/** How an image is copied as it was served. */
export interface CopyOptions extends CallOptions {
  readonly to: BlobDestination;
  /** Which images of an index are copied: the one for the platform, or `all`, with the index itself. */
  readonly platforms?: "one" | "all";
}

/**
 * Fetches from OCI registries, and verifies every byte.
 *
 * ```js
 * import { Client, memory } from "oci-fetcher";
 *
 * const client = new Client();
 * const image = await client.pull("alpine:3.22", { to: memory() });
 * console.log(image.digest, new TextDecoder().decode(await image.files.read("etc/alpine-release")));
 * image.close();
 * ```
 */
export class Client {
  readonly #options: ClientOptions;
  #http: Http | undefined;
  #cache: BlobCache | undefined;
  #decoding: Decoding | undefined;
  #closed = false;

  /** Does no I/O: what is wrong with the options appears at the first call. */
  constructor(options: ClientOptions = {}) {
    this.#options = options;
  }

  /**
   * Unpacks an image, or several one on top of the other, and returns its files.
   *
   * The destination is as before or complete, never half. With a destination for blobs (`layout()`), the
   * images are copied as they were served instead.
   *
   * ```js
   * const image = await client.pull("heroku/builder:22", { to: memory(), path: "cnb" });
   * for await (const entry of image.files.walk()) console.log(entry.path);
   * ```
   */
  pull(references: string | Source | readonly (string | Source)[], options: CopyOptions): Promise<CopiedImage[]>;
  pull(references: string | Source | readonly (string | Source)[], options?: PullOptions): Promise<PulledImage>;
  async pull(
    references: string | Source | readonly (string | Source)[],
    options: PullOptions | CopyOptions = {},
  ): Promise<PulledImage | CopiedImage[]> {
    const sources: readonly (string | Source)[] = isList(references) ? references : [references];
    if (sources.length === 0) throw usage("no reference was given");
    const operation = await this.#begin(options);
    const limits = this.#options.limits ?? {};
    const decoding = this.#decode();
    const destination = options.to ?? memory();
    if (destination.kind === "blobs") {
      const platforms = "platforms" in options ? (options.platforms ?? "one") : "one";
      return copyBlobs(operation, { sources, destination, platforms, decoding, limits });
    }
    const path = "path" in options ? (options.path ?? []) : [];
    const paths = typeof path === "string" ? [path] : path;
    const names = "names" in options ? (options.names ?? "any") : "any";
    return pullFiles(operation, { sources, destination, paths, names, decoding, limits });
  }

  /**
   * Resolves an image for the platform: its manifest, config and layers, without any layer's content.
   *
   * ```js
   * const { digest, config, layers } = await client.resolve("debian:13");
   * ```
   */
  async resolve(reference: string | Source, options: CallOptions = {}): Promise<ResolvedImage> {
    return this.#ask(reference, options, (access) => access.image("any"));
  }

  /**
   * Returns the manifest or index that a reference names, exactly as it was served; where a platform was
   * asked for by name, the manifest of its image.
   *
   * ```js
   * const { mediaType, bytes } = await client.manifest("alpine:3.22");
   * ```
   */
  async manifest(reference: string | Source, options: CallOptions = {}): Promise<RawManifest> {
    return this.#ask(reference, options, async (access) => {
      if (access.operation.explicit) return (await access.image("any")).manifest;
      return access.resolve({ kind: "manifest" }, (machine) => {
        const outcome = machine.call((machine) => machine.outcome());
        const { digest, mediaType } = (JSON.parse(outcome) as { readonly top: RawManifest }).top;
        return { digest, mediaType, bytes: machine.call((machine) => machine.bytes("top")) };
      });
    });
  }

  /**
   * Returns what an image's config says; `undefined` for an artifact, whose config is never parsed.
   *
   * ```js
   * const config = await client.config("nginx:1.29");
   * console.log(config?.entrypoint, config?.env);
   * ```
   */
  async config(reference: string | Source, options: CallOptions = {}): Promise<ImageConfig | undefined> {
    return (await this.resolve(reference, options)).config;
  }

  /**
   * Lists the tags of a reference's repository, in the registry's order.
   *
   * ```js
   * const tags = await client.tags("alpine");
   * ```
   */
  async tags(reference: string, options: CallOptions = {}): Promise<string[]> {
    return this.#ask(reference, options, (access) =>
      access.run(
        (machines, session) => machines.tags(session),
        (machine) => JSON.parse(machine.call((machine) => machine.outcome())) as string[],
      ),
    );
  }

  /**
   * Streams one blob of a reference's repository, verified while it is read: the last chunk comes only
   * after size and digest were found right, and a wrong blob ends in an error.
   *
   * ```js
   * const [layer] = (await client.resolve("alpine:3.22")).layers;
   * const stream = await client.blob("alpine:3.22", layer.digest);
   * ```
   */
  async blob(reference: string | Source, digest: string, options: CallOptions = {}): Promise<ReadableStream<Uint8Array>> {
    const cancel = new AbortController();
    const { signal } = options;
    const forward = (): void => cancel.abort(signal?.reason);
    throwIfAborted(signal);
    signal?.addEventListener("abort", forward, { once: true });
    let access: Access | undefined;
    const release = (): void => {
      signal?.removeEventListener("abort", forward);
      access?.close();
    };
    try {
      const operation = await this.#begin({ ...options, signal: cancel.signal });
      access = await Access.open(operation, reference);
      const blob = await descriptorOf(access, digest);
      const verified = new VerifiedStream(operation.engine, (reason) => cancel.abort(reason));
      let done = false;
      const fetching = access.transfer(
        async () => (done ? [] : [blob]),
        async (blob) => verified.consumer(blob),
      );
      void fetching.then(() => (done = true)).catch((error: unknown) => verified.fail(error)).finally(release);
      return verified.stream;
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Fetches the one WebAssembly module or component that a reference holds, verified and with its
   * beginning checked.
   *
   * ```js
   * const binary = await client.wasm("ghcr.io/example/plugin:1");
   * if (binary.kind === "module") await WebAssembly.instantiate(await binary.compile(), imports);
   * ```
   */
  async wasm(reference: string | Source, options: CallOptions = {}): Promise<WasmBinary> {
    return getWasm(await this.#begin(options), reference);
  }

  /**
   * Fetches the files of an artifact into memory.
   *
   * ```js
   * for (const file of (await client.get("ghcr.io/example/tool:1")).files) console.log(file.name, file.bytes.length);
   * ```
   */
  async get(reference: string | Source, options: CallOptions = {}): Promise<Artifact> {
    return getArtifact(await this.#begin(options), reference);
  }

  /**
   * Lists the images that stay between visits.
   *
   * ```js
   * for (const { name, bytes } of await client.images()) console.log(name, bytes);
   * ```
   */
  async images(): Promise<readonly StoredImage[]> {
    return this.#images().images();
  }

  /** Opens an image that stays; `undefined` where there is none of that name. */
  async open(name: string): Promise<PulledImage | undefined> {
    return this.#images().open(name);
  }

  /** Removes an image that stays, and returns whether there was one. */
  async remove(name: string): Promise<boolean> {
    return this.#images().remove(name);
  }

  /** Gives back Workers and the like; results of earlier calls stay usable. */
  close(): void {
    this.#closed = true;
    if (this.#options.decoding === undefined) this.#decoding?.close();
    this.#decoding = undefined;
  }

  [dispose](): void {
    this.close();
  }

  async #ask<T>(reference: string | Source, options: CallOptions, work: (access: Access) => Promise<T>): Promise<T> {
    const access = await Access.open(await this.#begin(options), reference);
    try {
      return await work(access);
    } finally {
      access.close();
    }
  }

  async #begin({ signal, onProgress, platform }: CallOptions): Promise<Operation> {
    if (this.#closed) throw closed("the client");
    throwIfAborted(signal);
    const { auth, limits = {}, plainHttp, insecureAnyAddress, retry, tokenEndpoint, offline = false, concurrency } = this.#options;
    const { shortAccept, credentials } = runtime();
    const chosen = platform ?? this.#options.platform;
    this.#http ??= this.#connect();
    return {
      engine: await engine(),
      http: this.#http,
      fetch: this.#fetch(),
      cache: this.#blobs(),
      credentials: credentialsOf(auth, credentials),
      tokenEndpoint: typeof tokenEndpoint === "function" ? tokenEndpoint : () => tokenEndpoint,
      session: {
        network: offline ? "offline" : "online",
        ...(plainHttp !== undefined && { plainHttp }),
        ...(insecureAnyAddress !== undefined && { anyAddress: insecureAnyAddress }),
        limits,
        ...(retry !== undefined && { retry }),
        seed: Math.floor(Math.random() * 2 ** 32),
        shortAccept,
      },
      limits: await limitsOf(limits),
      platform: chosen ?? PLATFORM,
      explicit: chosen !== undefined,
      concurrency: concurrency ?? CONCURRENCY,
      signal,
      progress: (event) => onProgress?.(event),
      warnings: new Set(),
    };
  }

  #connect(): Http {
    const { rewriteUrl, deadlines } = this.#options;
    const { redirects, init } = runtime();
    return new Http({ fetch: this.#fetch(), rewriteUrl, redirects, init, deadlines: { ...DEADLINES, ...deadlines } });
  }

  /** Returns what requests are sent with; the runtime's own is looked up each time, as a page may replace it. */
  #fetch(): typeof fetch {
    return this.#options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  }

  #blobs(): BlobCache | undefined {
    const { cache } = this.#options;
    if (cache === false) return undefined;
    this.#cache ??= cache ?? runtime().cache?.();
    return this.#cache;
  }

  #decode(): Decoding {
    this.#decoding ??= this.#options.decoding ?? runtime().decoding(this.#options.concurrency ?? CONCURRENCY);
    return this.#decoding;
  }

  #images(): ImageStore {
    const store = this.#options.images ?? runtime().images?.();
    if (store === undefined) {
      throw new OciError("not-supported", "this runtime keeps no images", { errorClass: "unsupported" });
    }
    return store;
  }
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}

/** Finds out the size of a blob: a source lists its blobs, a registry is asked. */
async function descriptorOf(access: Access, digest: string): Promise<Descriptor> {
  if (access.reference === undefined) {
    const { layers, configDescriptor } = await access.image("any");
    const found = [...layers, configDescriptor].find((blob) => blob.digest === digest);
    if (found !== undefined) return found;
    throw new OciError("not-found", `${access.typed} has no blob ${digest}`, { errorClass: "not-found" });
  }
  const size = await access.run(
    (machines, session) => machines.blobSize(session, digest),
    (machine) => JSON.parse(machine.call((machine) => machine.outcome())) as number,
  );
  return { mediaType: "application/octet-stream", digest, size };
}
