import * as glue from "../wasm/oci_fetcher.js";
import { fromBorder, OciError } from "./errors.js";

/** Everything that the WebAssembly module exports. */
export type Border = Omit<typeof glue, "default" | "initSync" | "__wbg_reset_state">;

/** One living instance of the WebAssembly module. */
export interface Engine {
  readonly border: Border;
  /** Whether it can be called; objects of a dead instance hold nothing and must not be freed. */
  readonly alive: boolean;
  /**
   * Runs synchronous work on the module, and turns what it throws into {@link OciError}.
   *
   * A trap ends the instance: this call and every later one on it fails with code `panic`, and
   * {@link engine} makes a fresh instance.
   */
  call<T>(work: (border: Border) => T): T;
}

/** What an instance can be made from. */
export type Loaded = WebAssembly.Module | BufferSource | Response;

/** Tells how this runtime comes by the WebAssembly module; each entry file says so once. */
export function useLoader(load: () => Loaded | Promise<Loaded>): void {
  loader = load;
}

/** Returns the living instance, and makes one where there is none. */
export function engine(): Promise<Engine> {
  starting ??= start().catch((error: unknown) => {
    starting = undefined;
    throw error;
  });
  return starting;
}

/** Returns the compiled module, which can be sent to a Worker. */
export async function compiledModule(): Promise<WebAssembly.Module> {
  await engine();
  if (module === undefined) throw new Error("an engine without a module");
  return module;
}

async function start(): Promise<Engine> {
  if (module === undefined) {
    if (loader === undefined) {
      throw new OciError("not-supported", "no WebAssembly module was given", {
        errorClass: "usage",
        advice: "with oci-fetcher/slim, call useModule(...) first",
      });
    }
    module = await compiled(await loader());
    glue.initSync({ module });
  } else {
    glue.__wbg_reset_state();
  }
  return new Instance();
}

async function compiled(loaded: Loaded): Promise<WebAssembly.Module> {
  if (loaded instanceof WebAssembly.Module) return loaded;
  if (!(loaded instanceof Response)) return WebAssembly.compile(loaded);
  if (!loaded.ok) {
    throw new OciError("not-supported", `the WebAssembly module could not be loaded: status ${loaded.status}`, {
      errorClass: "local",
      advice: "serve oci_fetcher_bg.wasm beside the script",
    });
  }
  const type = loaded.headers.get("content-type") ?? "";
  return type.startsWith("application/wasm")
    ? WebAssembly.compileStreaming(loaded)
    : WebAssembly.compile(await loaded.arrayBuffer());
}

class Instance implements Engine {
  readonly border: Border = glue;
  #dead: OciError | undefined;

  get alive(): boolean {
    return this.#dead === undefined;
  }

  call<T>(work: (border: Border) => T): T {
    if (this.#dead !== undefined) throw this.#dead;
    try {
      return work(this.border);
    } catch (thrown) {
      if (isTrap(thrown)) {
        this.#dead = new OciError("panic", panicMessage(thrown), { errorClass: "internal", cause: thrown });
        starting = undefined;
        throw this.#dead;
      }
      throw fromBorder(thrown);
    }
  }
}

/** Tells whether the module cannot go on: a trap, or a stack that overflowed inside it. */
function isTrap(thrown: unknown): thrown is Error {
  return (
    thrown instanceof WebAssembly.RuntimeError ||
    (thrown instanceof Error && !("code" in thrown) && /stack|recursion/.test(thrown.message))
  );
}

/** Returns what the module's panic hook kept; the trap itself says little. */
function panicMessage(thrown: Error): string {
  try {
    return `internal error: ${glue.takePanic() ?? thrown.message}`;
  } catch {
    return `internal error: ${thrown.message}`;
  }
}

let loader: (() => Loaded | Promise<Loaded>) | undefined;
let module: WebAssembly.Module | undefined;
let starting: Promise<Engine> | undefined;
