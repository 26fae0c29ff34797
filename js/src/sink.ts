import type { Verdict } from "./machine.js";
import type { Descriptor } from "./types.js";

/** Makes the sinks of a plan's blobs. */
export interface Sinks {
  /** Makes a sink ready for the blob at `index` of the plan's list. */
  open(index: number, descriptor: Descriptor): Promise<Sink>;
}

/** Where one blob flows to. */
export interface Sink {
  /** Bytes that are stored of it already, from its beginning; `complete` where a verdict comes by itself. */
  readonly stored: number | "complete";
  /** What verification found; `undefined` where the sink was aborted. Never rejected. */
  readonly verdict: Promise<Verdict | undefined>;
  /** Takes the bytes that follow, and resolves when more is wanted; `false` where the sink has ended. */
  push(chunk: Uint8Array): Promise<boolean>;
  /** Says that all bytes are there; the verdict follows. */
  seal(): Promise<void>;
  /** Ends it without a verdict; what was stored safely may stay for a later resume. */
  abort(reason: unknown): Promise<void>;
}
