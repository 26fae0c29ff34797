import type { ErrorCode } from "./codes.js";
import { OciError, type ErrorClass } from "./errors.js";
import type { LayerReport, LayerSpec, PackPlace } from "./layer.js";

/** What the page says to a Worker. Buffers are transferred; `id` names a layer. */
export type ToWorker =
  | { readonly tell: "start"; readonly module: WebAssembly.Module }
  | { readonly tell: "open"; readonly id: number; readonly spec: LayerSpec; readonly place: PackPlace }
  | { readonly tell: "write"; readonly id: number; readonly buffer: ArrayBuffer; readonly length: number }
  | { readonly tell: "finish"; readonly id: number }
  | { readonly tell: "abort"; readonly id: number };

/** What a Worker answers. */
export type FromWorker =
  | { readonly told: "started" }
  | { readonly told: "not-started"; readonly error: PlainError }
  | { readonly told: "opened"; readonly id: number }
  /** The buffer was used up and comes back, which is the back-pressure. */
  | { readonly told: "written"; readonly id: number; readonly buffer: ArrayBuffer }
  /** One block of a pack that is kept in memory. */
  | { readonly told: "packed"; readonly id: number; readonly block: Uint8Array<ArrayBuffer> }
  | { readonly told: "finished"; readonly id: number; readonly layer: FinishedLayer }
  /** The layer was ended; what was written of it is gone. */
  | { readonly told: "aborted"; readonly id: number }
  /** As `aborted`, for a reason of the Worker's. */
  | { readonly told: "failed"; readonly id: number; readonly error: PlainError };

/** A layer that was verified, as far as it can be sent. */
export interface FinishedLayer {
  readonly index: Uint8Array;
  readonly packLength: number;
  readonly report: LayerReport;
}

/** An {@link OciError} as plain data: structured cloning would lose what it says beside its message. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly errorClass: ErrorClass;
  readonly message: string;
  readonly advice: string | undefined;
  readonly causes: readonly string[];
}

/** Makes an error ready to be sent. */
export function plainError(error: unknown): PlainError {
  const causes: string[] = [];
  for (let at = error; at instanceof Error && causes.length < CAUSES; at = at.cause) {
    if (at !== error) causes.push(at.message);
  }
  if (error instanceof OciError) {
    const { code, errorClass, message, advice } = error;
    return { code, errorClass, message, advice, causes };
  }
  return { code: "panic", errorClass: "internal", message: `internal error: ${String(error)}`, advice: undefined, causes };
}

/** Makes the error that was sent. */
export function errorOf({ code, errorClass, message, advice, causes }: PlainError): OciError {
  const cause = causes.reduceRight<Error | undefined>(
    (inner, text) => new Error(text, inner === undefined ? undefined : { cause: inner }),
    undefined,
  );
  return new OciError(code, message, { errorClass, advice, cause });
}

/** More than any chain of causes has, but an end for one that leads into itself. */
const CAUSES = 16;
