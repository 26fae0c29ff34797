import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryCache } from "../dist/caches/memory.js";
import { chunksOf } from "../dist/stream.js";

async function all(stream) {
  const chunks = [];
  for await (const chunk of chunksOf(stream)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test("a partial blob is there for the next one who opens it", async () => {
  const cache = memoryCache();
  const first = await cache.open("d", 6);
  await first.append(Buffer.from("abc"));
  await first.close();
  assert.equal(await cache.read("d", 10), undefined);
  const second = await cache.open("d", 6);
  assert.deepEqual([second.complete, second.length, await all(second.bytes(1))], [false, 3, "bc"]);
  await second.append(Buffer.from("def"));
  await second.commit();
  const third = await cache.open("d", 6);
  assert.deepEqual([third.complete, third.length, await all(third.bytes())], [true, 6, "abcdef"]);
  assert.equal(await cache.read("d", 5), undefined);
  assert.equal(Buffer.from(await cache.read("d", 6)).toString(), "abcdef");
});

test("old blobs give way to new ones, and one without room is not kept", async () => {
  const cache = memoryCache({ bytes: 4 });
  await cache.keep("a", Buffer.from("aaa"));
  await cache.keep("b", Buffer.from("bb"));
  assert.equal(await cache.read("a", 10), undefined);
  assert.notEqual(await cache.read("b", 10), undefined);
  const large = await cache.open("c", 5);
  await large.append(Buffer.from("cccc"));
  await large.append(Buffer.from("c"));
  await large.commit();
  assert.equal((await cache.open("c", 5)).length, 0);
});
