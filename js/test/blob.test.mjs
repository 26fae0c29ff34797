import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { Client, memoryCache } from "../dist/entry/node.js";
import { artifact, digestOf, image } from "./image.mjs";
import { startRegistry } from "./registry.mjs";

let registry;

before(async () => (registry = await startRegistry()));
after(() => registry.close());
beforeEach(() => {
  registry.fault = () => undefined;
  registry.requests.length = 0;
});

const QUICK = { retry: { firstPause: 1, longestPause: 2 }, cache: false, auth: "anonymous" };
const MODULE = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const LONG = Buffer.alloc(400_000, 7);

test("a blob's stream is the blob", async () => {
  const reference = registry.serve("long:1", artifact([{ type: "text/plain", content: LONG }]));
  const stream = await new Client(QUICK).blob(reference, digestOf(LONG));
  assert.ok(LONG.equals(await collect(stream)));
});

test("a blob that is wrong never ends well", async () => {
  const reference = registry.serve("long:wrong", artifact([{ type: "text/plain", content: LONG }]));
  registry.fault = (line) => (line.startsWith("GET") && line.includes(digestOf(LONG)) ? { flip: true } : undefined);
  const stream = await new Client(QUICK).blob(reference, digestOf(LONG));
  let length = 0;
  await assert.rejects(
    async () => {
      for await (const chunk of stream) length += chunk.length;
    },
    { name: "OciError", errorClass: "integrity" },
  );
  assert.ok(length < LONG.length);
});

test("a reader that goes away ends the download", async () => {
  const reference = registry.serve("long:left", artifact([{ type: "text/plain", content: LONG }]));
  const stream = await new Client(QUICK).blob(reference, digestOf(LONG));
  const reader = stream.getReader();
  await reader.read();
  await reader.cancel("enough");
});

test("a missing blob is not found", async () => {
  const reference = registry.serve("long:none", artifact([{ type: "text/plain", content: "x" }]));
  await assert.rejects(new Client(QUICK).blob(reference, digestOf(Buffer.from("other"))), { errorClass: "not-found" });
});

test("a WebAssembly module is known by its beginning", async () => {
  const client = new Client(QUICK);
  const reference = registry.serve("plugin:1", artifact([{ type: "application/wasm", content: MODULE }]));
  const binary = await client.wasm(reference);
  assert.equal(binary.kind, "module");
  assert.ok((await binary.compile()) instanceof WebAssembly.Module);
  const other = registry.serve("plugin:wrong", artifact([{ type: "application/wasm", content: "no module" }]));
  await assert.rejects(client.wasm(other), { code: "not-wasm" });
  const two = [{ type: "application/wasm", content: MODULE }, { type: "application/wasm", content: Buffer.concat([MODULE, MODULE]) }];
  await assert.rejects(client.wasm(registry.serve("plugin:two", artifact(two))), { code: "not-one-file" });
});

test("an artifact's files have safe names", async () => {
  const client = new Client(QUICK);
  const files = [
    { title: "bin/tool", type: "text/plain", content: "one" },
    { type: "application/wasm", content: MODULE },
    { title: "empty", type: "text/plain", content: "" },
  ];
  const got = await client.get(registry.serve("tool:1", artifact(files)));
  assert.deepEqual(got.files.map(({ name, wasm }) => [name, wasm]), [
    ["bin/tool", undefined],
    [digestOf(MODULE).replace(":", "-"), "module"],
    ["empty", undefined],
  ]);
  assert.equal((await collect(got.files[0].open())).toString(), "one");
  const unsafe = artifact([{ title: "../up", type: "text/plain", content: "x" }]);
  await assert.rejects(client.get(registry.serve("tool:unsafe", unsafe)), { code: "unsafe-title" });
});

test("what is cached is not fetched again", async () => {
  const client = new Client({ ...QUICK, cache: memoryCache() });
  const reference = registry.serve("cached:1", image([[{ path: "a", content: LONG }]]));
  for (const expected of [1, 0]) {
    registry.requests.length = 0;
    const pulled = await client.pull(reference);
    assert.ok(LONG.equals(Buffer.from(await pulled.files.read("a"))));
    pulled.close();
    assert.equal(registry.count(/^GET .*\/blobs\/.*/) > 0, expected === 1);
  }
});

test("a cached blob that is wrong is fetched once more", async () => {
  const built = image([[{ path: "a", content: "a" }], [{ path: "b", content: "b" }]]);
  const reference = registry.serve("stale:1", built);
  const cache = memoryCache();
  const wrong = Buffer.from(built.blobs[2]);
  wrong[wrong.length >> 1] ^= 1;
  await cache.keep(digestOf(built.blobs[2]), wrong);
  const client = new Client({ ...QUICK, cache });
  const pulled = await client.pull(reference);
  assert.equal(Buffer.from(await pulled.files.read("b")).toString(), "b");
  pulled.close();
  assert.ok(Buffer.from(await cache.read(digestOf(built.blobs[2]), 1e6)).equals(built.blobs[2]));
});

test("what was stored of a blob is not asked for again", async () => {
  const content = LONG.map((_, at) => (at * 2_654_435_761) >>> 13);
  const built = artifact([{ type: "text/plain", content }]);
  const reference = registry.serve("partial:1", built);
  const cache = memoryCache();
  const blob = await cache.open(digestOf(content), content.length);
  await blob.append(content.subarray(0, 150_000));
  await blob.close();
  const ranges = [];
  registry.fault = (line, _, request) => void (line.startsWith("GET") && line.includes(digestOf(content)) && ranges.push(request.headers.range));
  const got = await new Client({ ...QUICK, cache }).get(reference);
  assert.ok(content.equals(got.files[0].bytes));
  assert.deepEqual(ranges, ["bytes=150000-"]);
});

test("a copy holds every byte as it was served", async () => {
  const built = image([[{ path: "a", content: "a" }], [{ path: "b", content: "b" }]]);
  const reference = registry.serve("copied:1", built);
  const kept = new Map();
  let named;
  const to = {
    kind: "blobs",
    begin: async () => ({
      has: async ({ digest }) => kept.has(digest),
      keep: async ({ digest }, bytes) => void kept.set(digest, Buffer.from(bytes)),
      open: async ({ digest }) => {
        const chunks = [];
        return {
          write: async (chunk) => void chunks.push(Buffer.from(chunk)),
          commit: async () => void kept.set(digest, Buffer.concat(chunks)),
          abort: async () => undefined,
        };
      },
      complete: async (top, typed) => {
        named = [top.digest, top.size, typed];
        return [];
      },
      abort: async () => assert.fail("it failed"),
    }),
  };
  for (const platforms of ["one", "all"]) {
    kept.clear();
    const [copied] = await new Client(QUICK).pull(reference, { to, platforms });
    assert.equal(copied.digest, built.digest);
    assert.deepEqual(named, [built.digest, built.bytes.length, reference]);
    assert.deepEqual([...kept.keys()].sort(), [built.digest, ...built.blobs.map(digestOf)].sort());
    for (const [digest, bytes] of kept) assert.equal(digestOf(bytes), digest);
  }
});

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
