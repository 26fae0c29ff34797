import { BlobSinks, type BlobFailure, type Consumer } from "./blobs.js";
import type { BlobCache } from "./cache.js";
import { drive } from "./drive.js";
import type { Engine } from "./engine.js";
import { OciError, usage } from "./errors.js";
import type { Http } from "./http.js";
import { Machine, type BorderMachine, type BorderSession, type Note } from "./machine.js";
import type { TokenEndpoint } from "./settings.js";
import type { Source, SourceImage } from "./source.js";
import { sourceNamed } from "./sources/named.js";
import { Store } from "./store.js";
import type { CredentialCallback, Descriptor, ImageConfig, LayerDescriptor, Limits, Progress, ResolvedImage, Retry } from "./types.js";

/** What all steps of one call of a client share. */
export interface Operation {
  readonly engine: Engine;
  readonly http: Http;
  readonly fetch: typeof fetch;
  readonly cache: BlobCache | undefined;
  readonly credentials: CredentialCallback;
  readonly tokenEndpoint: (registry: string) => TokenEndpoint | undefined;
  readonly session: SessionOptions;
  readonly limits: Limits;
  readonly platform: string;
  readonly explicit: boolean;
  readonly concurrency: number;
  readonly signal: AbortSignal | undefined;
  readonly progress: (event: Progress) => void;
  /** What was odd but accepted, each once, in order. */
  readonly warnings: Set<string>;
}

/** How a session is made; the core reads it as JSON. */
export interface SessionOptions {
  readonly network: "online" | "offline";
  readonly plainHttp?: boolean;
  readonly anyAddress?: boolean;
  readonly limits?: Partial<Limits>;
  readonly retry?: Partial<Retry>;
  readonly seed: number;
  readonly shortAccept: boolean;
}

/** What is to be resolved. */
export type Want =
  | { readonly kind: "manifest" }
  | { readonly kind: "image"; readonly platform: string; readonly explicit: boolean };

/** A reference or source that can be asked: its registry's session and its store. */
export class Access {
  readonly operation: Operation;
  readonly store: Store;
  /** The reference or source, as typed. */
  readonly typed: string;
  /** The reference for names in a layout; `undefined` for other sources. */
  readonly reference: string | undefined;
  readonly #session: BorderSession;
  readonly #source: SourceImage | undefined;

  static async open(operation: Operation, named: string | Source): Promise<Access> {
    const from = typeof named === "string" ? sourceNamed(named) : named;
    const { engine, signal, fetch, limits } = operation;
    if (typeof from !== "string") {
      const source = await from.find({ fetch, limits, signal });
      for (const warning of source.warnings) warn(operation, warning);
      const session = engine.call((border) => border.Session.local(JSON.stringify(operation.session)));
      return new Access(operation, session, from.name, undefined, source);
    }
    const parsed = engine.call((border) => border.parseReference(from));
    const { registry, repository } = JSON.parse(parsed) as { registry: string; repository: string };
    const session = engine.call((border) => new border.Session(from, JSON.stringify(operation.session)));
    const access = new Access(operation, session, from, from, undefined);
    try {
      await access.#authorize(registry, repository);
      return access;
    } catch (error) {
      access.close();
      throw error;
    }
  }

  private constructor(
    operation: Operation,
    session: BorderSession,
    typed: string,
    reference: string | undefined,
    source: SourceImage | undefined,
  ) {
    this.operation = operation;
    this.typed = typed;
    this.reference = reference;
    this.store = new Store({ cache: operation.cache, source });
    this.#session = session;
    this.#source = source;
  }

  async #authorize(registry: string, repository: string): Promise<void> {
    const { engine, credentials, tokenEndpoint, session } = this.operation;
    if (session.network === "offline") return;
    const endpoint = tokenEndpoint(registry);
    if (endpoint !== undefined) {
      const { realm, service } = typeof endpoint === "string" ? { realm: endpoint, service: undefined } : endpoint;
      engine.call(() => this.#session.tokenEndpoint(realm, service));
    }
    const credential = await credentials(registry, repository);
    if (credential === undefined) return;
    engine.call(() => {
      if ("identityToken" in credential) this.#session.identityToken(credential.identityToken);
      else if ("registryToken" in credential) this.#session.registryToken(credential.registryToken);
      else if ("username" in credential) this.#session.basic(credential.username, credential.password);
      else throw usage("a credential has username and password, identityToken or registryToken");
    });
  }

  /** Carries out a plan that has no blobs, and reads its outcome. */
  async run<T>(
    make: (machines: MachineKinds, session: BorderSession) => BorderMachine,
    read: (machine: Machine) => T | Promise<T>,
  ): Promise<T> {
    const machine = new Machine(this.operation.engine, (machines) => make(machines, this.#session));
    try {
      await drive(machine, this.#host());
      return await read(machine);
    } finally {
      machine.free();
    }
  }

  /**
   * Transfers blobs into consumers. What a consumer found wrong is thrown as it is.
   *
   * A stored blob that was wrong has been discarded: then `missing` is asked again, and the blob is
   * fetched anew, once.
   */
  async transfer<T extends Descriptor>(
    missing: () => Promise<readonly T[]>,
    consumer: (blob: T) => Promise<Consumer>,
  ): Promise<void> {
    const tried = new Set<string>();
    for (;;) {
      const stale = await this.#attempt(await missing(), consumer);
      if (stale === undefined) return;
      if (tried.has(stale.digest)) throw stale.error;
      tried.add(stale.digest);
    }
  }

  /** Returns the first stored blob that was wrong. */
  async #attempt<T extends Descriptor>(
    blobs: readonly T[],
    consumer: (blob: T) => Promise<Consumer>,
  ): Promise<BlobFailure | undefined> {
    if (blobs.length === 0) return undefined;
    const { engine, concurrency, progress } = this.operation;
    const sinks = new BlobSinks({
      store: this.store,
      consumer(index): Promise<Consumer> {
        const blob = blobs[index];
        if (blob === undefined) throw new RangeError("a blob that was not asked for");
        return consumer(blob);
      },
      downloaded: ({ digest }, bytes) => progress({ kind: "downloaded", digest, bytes }),
      verified: ({ digest }) => progress({ kind: "verified", digest }),
    });
    const machine = new Machine(engine, (machines) =>
      machines.blobs(this.#session, JSON.stringify(blobs.map(bare)), concurrency),
    );
    try {
      await drive(machine, this.#host(), sinks);
      machine.call((machine) => machine.outcome());
      return undefined;
    } catch (error) {
      const { failure } = sinks;
      if (failure === undefined || !(error instanceof OciError)) throw error;
      if (error.code === "stale") return failure;
      throw error.code === "blob-wrong" ? failure.error : error;
    } finally {
      machine.free();
    }
  }

  /** Carries out a resolution, and hands the machine that holds its outcome to `read`. */
  resolve<T>(want: Want, read: (machine: Machine) => T | Promise<T>): Promise<T> {
    const source = this.#source;
    const json = JSON.stringify(want);
    return this.run(
      (machines, session) =>
        source === undefined
          ? machines.resolve(session, this.typed, json)
          : machines.resolveDescriptor(session, JSON.stringify(source.top), json),
      read,
    );
  }

  /** Resolves the image for the operation's platform. */
  image(check: "unpackable" | "any"): Promise<ResolvedImage> {
    const { platform, explicit } = this.operation;
    return this.resolve({ kind: "image", platform, explicit }, (machine) => {
      if (check === "unpackable") machine.call((machine) => machine.checkUnpackable());
      return imageOf(machine, this.typed);
    });
  }

  /** The session, for plans that are made from another machine's outcome. */
  get session(): BorderSession {
    return this.#session;
  }

  /** Tells whoever watches what comes next. */
  announce(image: ResolvedImage): void {
    const blobs = image.layers.map(({ digest, size }) => ({ digest, size }));
    this.operation.progress({ kind: "resolved", source: image.source, digest: image.digest, blobs });
  }

  close(): void {
    this.#source?.close();
    if (this.operation.engine.alive) this.operation.engine.call(() => this.#session.free());
  }

  #host(): Parameters<typeof drive>[1] {
    const { http, signal, limits } = this.operation;
    const note = (note: Note): void => {
      if (note.kind === "warning") warn(this.operation, note.text);
      else this.operation.progress(note);
    };
    return { http, store: this.store, signal, errorBytes: limits.tokenBytes, note };
  }
}

type MachineKinds = Parameters<ConstructorParameters<typeof Machine>[1]>[0];

/** Tells whoever watches of something odd, once. */
export function warn(operation: Operation, text: string): void {
  if (operation.warnings.has(text)) return;
  operation.warnings.add(text);
  operation.progress({ kind: "warning", text });
}

/** Reads what a resolution of an image found. */
export function imageOf(machine: Machine, source: string): ResolvedImage {
  const outcome = JSON.parse(machine.call((machine) => machine.outcome())) as ResolveOutcome;
  const { top, image } = outcome;
  if (image === undefined) throw new Error("an image was wanted");
  const bytes = (what: "top" | "manifest" | "config"): Uint8Array => machine.call((machine) => machine.bytes(what));
  return {
    source,
    kind: image.kind,
    digest: image.manifest.digest,
    top: { digest: top.digest, mediaType: top.mediaType, bytes: bytes("top") },
    manifest: { digest: image.manifest.digest, mediaType: image.manifest.mediaType, bytes: bytes("manifest") },
    configDescriptor: image.config,
    configBytes: bytes("config"),
    config: image.imageConfig,
    artifactType: image.artifactType,
    layers: image.layers,
  };
}

/** What the core says of a resolution. */
export interface ResolveOutcome {
  readonly top: { readonly digest: string; readonly mediaType: string; readonly kind: "image" | "index" };
  readonly image?: {
    readonly manifest: { readonly digest: string; readonly mediaType: string };
    readonly config: Descriptor;
    readonly kind: "image" | "artifact";
    readonly artifactType?: string;
    readonly layers: readonly LayerDescriptor[];
    readonly imageConfig?: ImageConfig;
  };
}

/** Returns what the core reads of a descriptor. */
function bare({ mediaType, digest, size, urls, annotations }: Descriptor): Descriptor {
  return { mediaType, digest, size, ...(urls && { urls }), ...(annotations && { annotations }) };
}
