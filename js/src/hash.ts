import type { Engine } from "./engine.js";
import { pause } from "./pause.js";
import { chunksOf } from "./stream.js";

/** What takes bytes through an input buffer inside the module. */
interface Intake {
  input(): Uint8Array;
  update(length: number): void;
}

/** Gives all of a chunk to something inside the module. */
export function feed(engine: Engine, intake: Intake, chunk: Uint8Array): void {
  engine.call(() => {
    for (let at = 0; at < chunk.length; ) {
      // The buffer is asked for each time: what it shows is valid only until the next call.
      const input = intake.input();
      const piece = chunk.subarray(at, at + input.length);
      input.set(piece);
      intake.update(piece.length);
      at += piece.length;
    }
  });
}

/** Returns the digest of everything in a stream, as `sha256:...`. */
export async function digestOf(engine: Engine, stream: ReadableStream<Uint8Array>): Promise<string> {
  const hash = engine.call((border) => new border.Sha256());
  try {
    for await (const chunk of chunksOf(stream)) {
      feed(engine, hash, chunk);
      await pause();
    }
    return engine.call(() => hash.finish());
  } finally {
    if (engine.alive) hash.free();
  }
}
