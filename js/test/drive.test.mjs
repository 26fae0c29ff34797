import assert from "node:assert/strict";
import { test } from "node:test";
import { BlobSinks } from "../dist/blobs.js";
import { memoryCache } from "../dist/caches/memory.js";
import { drive } from "../dist/drive.js";
import { OciError } from "../dist/errors.js";
import { ExchangeFailure } from "../dist/http.js";
import { Store } from "../dist/store.js";

/** Plays the machine: each step gives effects, and says what answer leads to the next step. */
function scripted(steps) {
  const inputs = [];
  let effects = [...steps[0].effects];
  let at = 0;
  return {
    inputs,
    poll() {
      const effect = effects.shift();
      if (effect !== undefined) return effect;
      return at >= steps.length ? { done: true } : { wait: null };
    },
    takeBytes: () => new Uint8Array(),
    handle(input, bytes) {
      inputs.push([input, bytes === undefined ? undefined : Buffer.from(bytes).toString()]);
      if (input.input !== steps[at].until) return;
      at += 1;
      effects = at < steps.length ? [...steps[at].effects] : [];
    },
  };
}

/** Answers with chunks; an error among them is thrown. */
function answering(answers) {
  return {
    async send(request, _, signal) {
      const { status, headers = [], chunks = [] } = answers[request.url];
      let closed = false;
      const rest = [...chunks];
      const body = {
        async chunk() {
          const next = rest.shift();
          if (next === "stall") {
            return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new OciError("aborted", "", { errorClass: "interrupted" }))));
          }
          if (next instanceof Error) throw next;
          return closed || next === undefined ? undefined : Buffer.from(next);
        },
        whole: async () => chunks.map((chunk) => Buffer.from(chunk)),
        beginning: async () => chunks.map((chunk) => Buffer.from(chunk)),
        close: () => (closed = true),
      };
      return { status, headers, body };
    },
  };
}

function collecting() {
  const log = [];
  const work = {
    store: new Store({ cache: memoryCache() }),
    consumer: async () => ({
      write: async (chunk) => void log.push(Buffer.from(chunk).toString()),
      finish: async () => {
        if (log.join("").includes("wrong")) throw new OciError("digest-mismatch", "wrong", { errorClass: "integrity" });
        log.push("finish");
      },
      abort: async () => void log.push("abort"),
    }),
    downloaded: () => undefined,
    verified: () => log.push("verified"),
  };
  return { log, work, sinks: new BlobSinks(work) };
}

const descriptor = { mediaType: "x", digest: "sha256:d", size: 6 };
const request = (url) => ({ method: "GET", url, headers: [] });
const host = (http, store, signal) => ({ http, store, signal, errorBytes: 100, note: () => undefined });

test("a blob flows into its sink, and goes on after a break", async () => {
  const http = answering({
    "one:": { status: 200, chunks: ["ab", "c", new ExchangeFailure("broken", "reset")] },
    "two:": { status: 200, chunks: ["xa", "bcd", "ef"] },
  });
  const { log, work, sinks } = collecting();
  const machine = scripted([
    { effects: [{ do: "open", job: 1, index: 0, descriptor }], until: "opened" },
    { effects: [{ do: "stream", job: 1, request: request("one:") }], until: "head" },
    { effects: [{ do: "accept", job: 1, skip: 0 }], until: "failed" },
    { effects: [{ do: "stream", job: 1, request: request("two:") }], until: "head" },
    { effects: [{ do: "accept", job: 1, skip: 4 }], until: "body-end" },
    { effects: [{ do: "seal", job: 1 }], until: "sealed" },
  ]);
  await drive(machine, host(http, work.store), sinks);
  assert.deepEqual(log, ["ab", "c", "d", "ef", "finish", "verified"]);
  const told = machine.inputs.map(([input]) => input);
  assert.deepEqual(told[0], { input: "opened", job: 1, stored: 0 });
  assert.deepEqual(told[2], { input: "failed", job: 1, kind: "broken", message: "reset", held: 3 });
  assert.deepEqual(told[4], { input: "body-end", job: 1, held: 6 });
  assert.deepEqual(told[5], { input: "sealed", job: 1, verdict: "verified" });
  assert.equal(Buffer.from(await work.store.read("sha256:d", 10)).toString(), "abcdef");
});

test("a sink that finds bytes wrong says so, and keeps why", async () => {
  const { log, work, sinks } = collecting();
  const machine = scripted([
    { effects: [{ do: "open", job: 1, index: 0, descriptor }], until: "opened" },
    { effects: [{ do: "stream", job: 1, request: request("one:") }], until: "head" },
    { effects: [{ do: "accept", job: 1, skip: 0 }], until: "body-end" },
    { effects: [{ do: "seal", job: 1 }], until: "sealed" },
  ]);
  await drive(machine, host(answering({ "one:": { status: 200, chunks: ["wrong!"] } }), work.store), sinks);
  assert.equal(machine.inputs.at(-1)[0].verdict, "wrong");
  assert.equal(sinks.failure.error.code, "digest-mismatch");
  assert.deepEqual(log, ["wrong!", "abort"]);
  assert.equal((await work.store.open(descriptor)).length, 0);
});

test("an error's body comes with its head", async () => {
  const { work, sinks } = collecting();
  const machine = scripted([
    { effects: [{ do: "open", job: 1, index: 0, descriptor }], until: "opened" },
    { effects: [{ do: "stream", job: 1, request: request("one:") }], until: "head" },
  ]);
  await drive(machine, host(answering({ "one:": { status: 404, chunks: ["no"] } }), work.store), sinks);
  assert.deepEqual(machine.inputs.at(-1), [{ input: "head", job: 1, status: 404, headers: [] }, "no"]);
});

test("a signal ends everything that is under way; what was stored stays", async () => {
  const { log, work, sinks } = collecting();
  const stop = new AbortController();
  const machine = scripted([
    { effects: [{ do: "open", job: 1, index: 0, descriptor }], until: "opened" },
    { effects: [{ do: "stream", job: 1, request: request("one:") }], until: "head" },
    { effects: [{ do: "accept", job: 1, skip: 0 }], until: "body-end" },
  ]);
  const http = answering({ "one:": { status: 200, chunks: ["abc", "stall"] } });
  const driving = drive(machine, host(http, work.store, stop.signal), sinks);
  setTimeout(() => stop.abort("enough"), 10);
  await assert.rejects(driving, { code: "aborted", cause: "enough" });
  assert.deepEqual(log, ["abc", "abort"]);
  assert.equal((await work.store.open(descriptor)).length, 3);
});

test("a sink that is still being opened when the plan ends is ended too", async () => {
  const { log, work } = collecting();
  const controller = new AbortController();
  const consumer = () => {
    controller.abort();
    return new Promise((resolve) => setTimeout(() => resolve(work.consumer()), 5));
  };
  const machine = scripted([{ effects: [{ do: "open", job: 1, index: 0, descriptor }], until: "never" }]);
  const driving = drive(machine, host(answering({}), work.store, controller.signal), new BlobSinks({ ...work, consumer }));
  await assert.rejects(driving, { code: "aborted" });
  assert.deepEqual(log, ["abort"]);
});

test("a store that fails ends the plan", async () => {
  const cache = { ...memoryCache(), read: async () => Promise.reject(new DOMException("full", "QuotaExceededError")) };
  const machine = scripted([{ effects: [{ do: "look-up", job: 1, digest: "sha256:d", limit: 9 }], until: "found" }]);
  await assert.rejects(drive(machine, host(answering({}), new Store({ cache }))), { code: "quota-exceeded", errorClass: "local" });
});
