import { adviceHere } from "./advice.js";
import type { ErrorCode } from "./codes.js";

export type { ErrorCode } from "./codes.js";

/** Groups errors by what a caller can do about them; the command line's exit code stands for each. */
export type ErrorClass =
  | "internal"
  | "usage"
  | "not-found"
  | "authentication"
  | "network"
  | "integrity"
  | "refused"
  | "local"
  | "unsupported"
  | "interrupted";

/** What an {@link OciError} says beside code and message. */
export interface OciErrorOptions {
  readonly errorClass: ErrorClass;
  readonly advice?: string | undefined;
  readonly cause?: unknown;
}

/**
 * The one error of this package.
 *
 * ```js
 * try {
 *   await client.pull("alpine:3.99", { to: memory() });
 * } catch (error) {
 *   if (error instanceof OciError && error.errorClass === "not-found") {
 *     console.log(error.code, error.advice);
 *   }
 * }
 * ```
 */
export class OciError extends Error {
  /** A stable name of what went wrong, for example `digest-mismatch`. */
  readonly code: ErrorCode;
  /** Whose fault it is, and so what can be done. */
  readonly errorClass: ErrorClass;
  /** What to do about it, where something is known. */
  readonly advice: string | undefined;

  constructor(code: ErrorCode, message: string, options: OciErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "OciError";
    this.code = code;
    this.errorClass = options.errorClass;
    this.advice = options.advice ?? GENERAL_ADVICE[options.errorClass];
  }

  /** The exit code that the command line would end with. */
  get exitCode(): number {
    return EXIT_CODES[this.errorClass];
  }
}

/** Makes the error of a call that its caller's signal ended. */
export function aborted(reason: unknown): OciError {
  return new OciError("aborted", "the caller ended it", { errorClass: "interrupted", cause: reason });
}

/** Throws where the signal has ended the call already. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal.reason);
}

/** Makes the error of a use after `close()`. */
export function closed(what: string): OciError {
  return new OciError("closed", `${what} was closed`, { errorClass: "usage" });
}

/** Makes the error of arguments that cannot be meant. */
export function usage(message: string): OciError {
  return new OciError("usage", message, { errorClass: "usage" });
}

/**
 * Turns what a storage interface of the runtime threw into an {@link OciError}: a full store is
 * `quota-exceeded`, everything else `io`, and both are of class `local`.
 */
export function storageError(what: string, error: unknown): OciError {
  if (error instanceof OciError) return error;
  const name = error instanceof Error ? error.name : "";
  const code = (error as { code?: unknown } | null)?.code;
  const full = name === "QuotaExceededError" || code === "ENOSPC" || code === "EDQUOT";
  return new OciError(full ? "quota-exceeded" : "io", what, {
    errorClass: "local",
    advice: full ? "remove images that are no longer needed, or ask for more storage" : undefined,
    cause: error,
  });
}

/** Makes an {@link OciError} of what the WebAssembly module threw; anything else is returned as it is. */
export function fromBorder(thrown: unknown): unknown {
  if (thrown instanceof OciError || !(thrown instanceof Error) || !("code" in thrown) || !("class" in thrown)) {
    return thrown;
  }
  const { code, class: errorClass, advice, causes } = thrown as Error & BorderError;
  const cause = (causes ?? []).reduceRight<Error | undefined>(
    (inner, message) => new Error(message, inner === undefined ? undefined : { cause: inner }),
    undefined,
  );
  return new OciError(code, thrown.message, { errorClass, advice: advice && adviceHere(advice), cause });
}

interface BorderError {
  readonly code: ErrorCode;
  readonly class: ErrorClass;
  readonly advice?: string;
  readonly causes?: readonly string[];
}

const EXIT_CODES: Readonly<Record<ErrorClass, number>> = {
  internal: 1,
  usage: 2,
  "not-found": 3,
  authentication: 4,
  network: 5,
  integrity: 6,
  refused: 7,
  local: 8,
  unsupported: 9,
  interrupted: 130,
};

const GENERAL_ADVICE: Partial<Record<ErrorClass, string>> = {
  internal: "please report it",
  "not-found": "check the name",
  authentication: "check the credentials",
  network: "try again later",
  integrity: "the content was damaged, or was made wrong: tell who runs the registry, and do not use it",
  refused: "the content is unsafe: do not use it unless you trust who made it",
  unsupported: "use another image, or another tool for this one",
};
