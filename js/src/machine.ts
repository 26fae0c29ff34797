import type { Border, Engine } from "./engine.js";
import type { CoreRequest, FailureKind } from "./http.js";
import type { Descriptor } from "./types.js";

/** What the machine wants next; `wait` is on the clock of {@link Machine.handle}, in milliseconds. */
export type Next = Effect | { readonly wait: number | null } | { readonly done: true };

/** Something that the host has to do. */
export type Effect =
  | { readonly do: "look-up"; readonly job: number; readonly digest: string; readonly limit: number }
  | { readonly do: "recall"; readonly job: number; readonly reference: string }
  | { readonly do: "remember"; readonly reference: string; readonly digest: string }
  | { readonly do: "keep"; readonly digest: string }
  | { readonly do: "fetch"; readonly job: number; readonly request: CoreRequest; readonly limit: number }
  | { readonly do: "open"; readonly job: number; readonly index: number; readonly descriptor: Descriptor }
  | { readonly do: "stream"; readonly job: number; readonly request: CoreRequest }
  | { readonly do: "accept"; readonly job: number; readonly skip: number }
  | { readonly do: "refuse" | "seal" | "abort"; readonly job: number }
  | { readonly do: "discard"; readonly digest: string }
  | { readonly do: "note"; readonly note: Note };

/** Something worth telling to whoever watches. */
export type Note =
  | { readonly kind: "request"; readonly request: string }
  | { readonly kind: "retry"; readonly request: string; readonly reason: string; readonly pause: number }
  | { readonly kind: "warning"; readonly text: string };

/** What verification found. */
export type Verdict = "verified" | "wrong" | "host-failed";

/** What the host answers. */
export type Input =
  | { readonly input: "found" | "missing"; readonly job: number }
  | { readonly input: "recalled"; readonly job: number; readonly digest: string }
  | {
      readonly input: "response" | "head";
      readonly job: number;
      readonly status: number;
      readonly headers: readonly (readonly [string, string])[];
    }
  | { readonly input: "opened"; readonly job: number; readonly stored: number | "complete" }
  | { readonly input: "body-end"; readonly job: number; readonly held: number }
  | { readonly input: "sealed"; readonly job: number; readonly verdict: Verdict }
  | {
      readonly input: "failed";
      readonly job: number;
      readonly kind: FailureKind;
      readonly message: string;
      readonly held: number;
    }
  | { readonly input: "tick" };

export type BorderSession = InstanceType<Border["Session"]>;
export type BorderMachine = ReturnType<Border["Machine"]["tags"]>;

/** The core's machine for one plan. */
export class Machine {
  readonly #engine: Engine;
  readonly #machine: BorderMachine;

  constructor(engine: Engine, make: (machines: Border["Machine"]) => BorderMachine) {
    this.#engine = engine;
    this.#machine = engine.call((border) => make(border.Machine));
  }

  poll(): Next {
    return JSON.parse(this.call((machine) => machine.poll())) as Next;
  }

  /** Returns what the effect just polled carries. */
  takeBytes(): Uint8Array {
    return this.call((machine) => machine.takeBytes());
  }

  handle(input: Input, bytes: Uint8Array | undefined, now: number): void {
    this.call((machine) => machine.handle(JSON.stringify(input), bytes, now));
  }

  call<T>(work: (machine: BorderMachine) => T): T {
    return this.#engine.call(() => work(this.#machine));
  }

  free(): void {
    if (this.#engine.alive) this.#engine.call(() => this.#machine.free());
  }
}
