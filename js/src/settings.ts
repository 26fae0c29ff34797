import type { BlobCache } from "./cache.js";
import type { ImageStore } from "./destination.js";
import { engine, type Engine } from "./engine.js";
import { usage } from "./errors.js";
import type { Decoding } from "./layer.js";
import type { Auth, CredentialCallback, Deadlines, Limits, Retry } from "./types.js";

/** What a client is made with; everything can be left out. */
export interface ClientOptions {
  /**
   * Credentials: one for every registry, or a callback that is asked for each repository. Without it,
   * Node, Deno and Bun look where docker and podman keep them; elsewhere nothing is sent.
   */
  readonly auth?: Auth | "anonymous" | "environment";
  /** What requests are sent with, instead of the runtime's `fetch`. */
  readonly fetch?: typeof fetch;
  /** Changes where a request goes, for example to a proxy that adds CORS headers. */
  readonly rewriteUrl?: (url: URL) => URL | string;
  /** Where tokens are had, for pages that cannot read a registry's challenge. */
  readonly tokenEndpoint?: TokenEndpoint | ((registry: string) => TokenEndpoint | undefined);
  /** Where blobs are kept between pulls; `false` for nowhere. */
  readonly cache?: BlobCache | false;
  /** Bounds that differ from the defaults. */
  readonly limits?: Partial<Limits>;
  /** The platform of images, `linux/amd64` by default. */
  readonly platform?: string;
  /** Blobs fetched, and layers decoded, at once. */
  readonly concurrency?: number;
  /** Whether registries may be spoken to without encryption; those on loopback always are. */
  readonly plainHttp?: boolean;
  /**
   * Lets registries lead to every address. Without it, redirects, token realms and addresses of foreign
   * layers may not spell out an address of this machine or of the local link, unless the registry is on
   * this machine itself. What a *name* resolves to no runtime's `fetch` tells before it connects: where
   * registries are not trusted, bound that outside (a proxy, a firewall), or use the native program,
   * which connects only to addresses that it has checked.
   */
  readonly insecureAnyAddress?: boolean;
  readonly retry?: Partial<Retry>;
  readonly deadlines?: Partial<Deadlines>;
  /** Never asks a network: what the cache lacks is an error of class `not-found`. */
  readonly offline?: boolean;
  /** Where `images()` looks, instead of the runtime's own place. */
  readonly images?: ImageStore;
  /** What decodes layers, instead of the runtime's own choice. */
  readonly decoding?: Decoding;
}

/** An address that gives out tokens, with the service's name as its challenge would say it. */
export type TokenEndpoint = string | { readonly realm: string; readonly service?: string };

/** The default of {@link ClientOptions.concurrency}: as the native host. */
export const CONCURRENCY = 4;

/** As the native host: registries that assemble an answer have been seen to think for most of a minute. */
export const DEADLINES: Deadlines = { firstByte: 60_000, progress: 60_000 };

/** What stands for no explicit choice of a platform. */
export const PLATFORM = "linux/amd64";

/** Returns the default limits, with those that were given in their place. */
export async function limitsOf(given: Partial<Limits>): Promise<Limits> {
  const living: Engine = await engine();
  const defaults = JSON.parse(living.call((border) => border.defaultLimits())) as Limits;
  return { ...defaults, ...given };
}

/** Makes a callback of credentials in any form. */
export function credentialsOf(
  auth: ClientOptions["auth"],
  otherwise: CredentialCallback | undefined,
): CredentialCallback {
  if (auth === "anonymous") return () => undefined;
  if (auth === "environment" && otherwise === undefined) throw usage("this runtime has no files to look for credentials in");
  if (auth === undefined || auth === "environment") return otherwise ?? (() => undefined);
  return typeof auth === "function" ? auth : () => auth;
}
