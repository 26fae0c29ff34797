// The Cache interface as a cache of blobs, in workerd: node test/edge-cache.mjs, after `npm run build`. Needs
// miniflare.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Miniflare } from "miniflare";

const WORKER = `
import { edgeCache } from "./caches/cache-api.js";
import { digestOfBytes } from "./digest.js";

export default {
  async fetch() {
    const cache = edgeCache();
    const bytes = new Uint8Array(300_000).map((_, at) => at * 7);
    const digest = await digestOfBytes(bytes);
    const small = bytes.slice(0, 10);
    const smallDigest = await digestOfBytes(small);
    await cache.keep(smallDigest, small);
    const read = [(await cache.read(smallDigest, 10)).length, await cache.read(smallDigest, 9)];
    const broken = await cache.open(digest, bytes.length);
    await broken.append(bytes.subarray(0, 100_000));
    await broken.close();
    const fresh = await cache.open(digest, bytes.length);
    const before = [fresh.complete, fresh.length];
    await fresh.append(bytes.subarray(0, 100_000));
    await fresh.append(bytes.subarray(100_000));
    await fresh.commit();
    const found = await cache.open(digest, bytes.length);
    const back = new Uint8Array(await new Response(found.bytes()).arrayBuffer());
    await cache.keep(digest, small);
    const wrong = await cache.read(digest, 1_000_000);
    await cache.remember("example/a:1", digest);
    const recalled = await cache.recall("example/a:1");
    await cache.discard(smallDigest);
    return Response.json({
      read,
      before,
      found: [found.complete, found.length, (await digestOfBytes(back)) === digest],
      wrong: wrong === undefined,
      recalled: recalled === digest,
      discarded: (await cache.read(smallDigest, 10)) === undefined,
    });
  },
};
`;

const root = fileURLToPath(new URL("../dist/", import.meta.url));
const module = (path) => ({ type: "ESModule", path, contents: readFileSync(`${root}${path}`) });
const miniflare = new Miniflare({
  modules: [{ type: "ESModule", path: "worker.js", contents: WORKER }, module("caches/cache-api.js"), module("digest.js")],
  compatibilityDate: "2026-01-01",
});
try {
  const response = await miniflare.dispatchFetch("http://worker.example/");
  assert.equal(response.status, 200, await response.clone().text());
  assert.deepEqual(await response.json(), {
    read: [10, null],
    before: [false, 0],
    found: [true, 300_000, true],
    wrong: true,
    recalled: true,
    discarded: true,
  });
  console.log("ok - blobs are whole in the Cache interface, or not there");
} finally {
  await miniflare.dispose();
}
