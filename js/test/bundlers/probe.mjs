// Watches how much WebAssembly memory a page and its Workers hold: code that runs before theirs.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Puts the probe before every script of a bundle; `underTest.memory()` tells what it saw. */
export function addProbe(folder) {
  const code = `(${probe})();\n`;
  for (const name of readdirSync(folder, { recursive: true })) {
    if (!/\.m?js$/.test(name)) continue;
    const file = path.join(folder, name);
    writeFileSync(file, code + readFileSync(file, "utf8"));
  }
}

function probe() {
  if (globalThis.wasmProbe !== undefined) return;
  const memories = new Set();
  const keep = (made) => {
    for (const value of Object.values((made.instance ?? made).exports ?? {})) {
      if (value instanceof WebAssembly.Memory) memories.add(value);
    }
    return made;
  };
  const { instantiate, instantiateStreaming, Instance } = WebAssembly;
  WebAssembly.instantiate = (...given) => instantiate(...given).then(keep);
  WebAssembly.instantiateStreaming = (...given) => instantiateStreaming(...given).then(keep);
  WebAssembly.Instance = new Proxy(Instance, { construct: (target, given) => keep(new target(...given)) });
  const channel = new BroadcastChannel("wasm-memories");
  const id = Math.random();
  setInterval(() => {
    const bytes = Array.from(memories, (memory) => memory.buffer.byteLength).reduce((sum, more) => sum + more, 0);
    if (bytes > 0) channel.postMessage({ id, bytes });
  }, 50);
  globalThis.wasmProbe = { instances: new Map(), peak: 0 };
  if (typeof document === "undefined") return;
  new BroadcastChannel("wasm-memories").onmessage = ({ data }) => {
    const { instances } = globalThis.wasmProbe;
    instances.set(data.id, data.bytes);
    const sum = Array.from(instances.values()).reduce((sum, more) => sum + more, 0);
    globalThis.wasmProbe.peak = Math.max(globalThis.wasmProbe.peak, sum);
  };
}
