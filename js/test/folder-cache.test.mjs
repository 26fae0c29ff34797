import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { Client, directory, folderCache } from "../dist/entry/node.js";
import { start } from "./child.mjs";
import { digestOf, image } from "./image.mjs";
import { native, noNative, startNative } from "./native.mjs";
import { startRegistry } from "./registry.mjs";

let registry;
let folder;
let root;

before(async () => (registry = await startRegistry()));
after(() => registry.close());
beforeEach(() => {
  registry.fault = () => undefined;
  registry.requests.length = 0;
  folder = mkdtempSync(join(tmpdir(), "oci-fetcher-test-"));
  root = join(folder, "cache");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const collect = async (stream) => Buffer.from(await new Response(stream).arrayBuffer());
const clientOf = (options) => new Client({ retry: { firstPause: 1, longestPause: 2 }, cache: folderCache(root), auth: "anonymous", ...options });
const partials = () => readdirSync(join(root, "partial"));

const CONTENT = randomBytes(300_000);
const DIGEST = digestOf(CONTENT);

test("what was appended before is there again, and is committed under its digest", async () => {
  let blob = await folderCache(root).open(DIGEST, CONTENT.length);
  assert.deepEqual([blob.complete, blob.length], [false, 0]);
  await blob.append(CONTENT.subarray(0, 100_000));
  await blob.close();

  blob = await folderCache(root).open(DIGEST, CONTENT.length);
  assert.deepEqual([blob.complete, blob.length], [false, 100_000]);
  assert.ok(CONTENT.subarray(0, 100_000).equals(await collect(blob.bytes())));
  await blob.append(CONTENT.subarray(100_000));
  await blob.commit();
  assert.deepEqual(partials(), []);

  blob = await folderCache(root).open(DIGEST, CONTENT.length);
  assert.deepEqual([blob.complete, blob.length], [true, CONTENT.length]);
  assert.ok(CONTENT.subarray(5).equals(await collect(blob.bytes(5))));
  await blob.close();
  const path = join(root, "blobs/sha256", DIGEST.slice(7));
  assert.equal(lstatSync(path).mode & 0o777, 0o600);
  assert.equal(await folderCache(root).read(DIGEST, CONTENT.length - 1), undefined);
  assert.equal(digestOf(await folderCache(root).read(DIGEST, CONTENT.length)), DIGEST);
  await folderCache(root).discard(DIGEST);
  assert.ok(!existsSync(path));
});

test("an empty beginning and a discarded one leave nothing", async () => {
  await (await folderCache(root).open(DIGEST, 10)).close();
  assert.deepEqual(partials(), []);
  const blob = await folderCache(root).open(DIGEST, 10);
  await blob.append(CONTENT.subarray(0, 5));
  await blob.discard();
  assert.deepEqual(partials(), []);
});

test("a beginning that is too long, or a symlink, is none", async () => {
  const name = join(root, "partial", DIGEST.replace(":", "-"));
  mkdirSync(join(root, "partial"), { recursive: true });
  writeFileSync(name, "longer than the blob");
  let blob = await folderCache(root).open(DIGEST, 5);
  assert.equal(blob.length, 0);
  await blob.close();
  const victim = join(folder, "victim");
  writeFileSync(victim, "precious");
  symlinkSync(victim, name);
  blob = await folderCache(root).open(DIGEST, 5);
  await blob.append(Buffer.from("x"));
  await blob.close();
  assert.equal(readFileSync(victim, "utf8"), "precious");

  mkdirSync(join(root, "blobs/sha256"), { recursive: true });
  symlinkSync(victim, join(root, "blobs/sha256", DIGEST.slice(7)));
  await assert.rejects(folderCache(root).read(DIGEST, 100), { code: "cache", errorClass: "local" });
});

test("a digest never becomes another path", async () => {
  for (const digest of ["sha256:../../x", "../x:aa", "sha256", "sha256:"]) {
    await assert.rejects(folderCache(root).read(digest, 10), { code: "malformed-digest" });
  }
});

test("remembers what a tag was", async () => {
  const cache = folderCache(root);
  assert.equal(await cache.recall("registry.example/app:1"), undefined);
  await cache.remember("registry.example/app:1", DIGEST);
  assert.equal(await cache.recall("registry.example/app:1"), DIGEST);
  assert.equal(await cache.recall("registry.example/app:2"), undefined);
});

test("a second pull fetches only what tells whether the tag has moved", async () => {
  const built = image([[{ path: "file", content: CONTENT.toString("base64") }]]);
  const reference = registry.serve("app:1", built);
  await clientOf().pull(reference);
  registry.requests.length = 0;
  await clientOf().pull(reference);
  assert.equal(registry.count(/blobs/), 0);
  registry.requests.length = 0;
  await clientOf({ offline: true }).pull(reference);
  assert.equal(registry.requests.length, 0);
  // What is stored is hashed again; what is wrong is fetched once more.
  const path = join(root, "blobs/sha256", digestOf(built.blobs[1]).slice(7));
  const damaged = readFileSync(path);
  damaged[100] ^= 1;
  writeFileSync(path, damaged);
  await clientOf().pull(reference);
  assert.equal(digestOf(readFileSync(path)), digestOf(built.blobs[1]));
});

test("a killed pull is taken up where it stopped", async () => {
  const built = image([[{ path: "file", content: CONTENT.toString("base64") }]]);
  const reference = registry.serve("app:killed", built);
  const layer = digestOf(built.blobs[1]);
  const ranges = [];
  const { child, result } = start("pull-child.mjs", { reference, path: join(folder, "root"), cache: root });
  registry.fault = (line, nth) => {
    if (!line.includes(layer)) return undefined;
    return nth === 1 ? { cut: 150_000 } : { stall: true };
  };
  await until(() => registry.count(new RegExp(layer)) >= 2);
  child.kill("SIGKILL");
  await result;
  assert.deepEqual(partials().sort(), [layer.replace(":", "-"), `${layer.replace(":", "-")}.lock`]);
  registry.fault = (line, nth, request) => {
    if (line.includes(layer)) ranges.push(request.headers.range);
    return undefined;
  };
  await clientOf().pull(reference, { to: directory(join(folder, "root")) });
  assert.equal(ranges.length, 1);
  assert.match(ranges[0], /^bytes=1\d\d\d\d\d-$/);
  assert.deepEqual(partials(), []);
});

test("two pulls of one image at once fetch its layer once", async () => {
  const built = image([[{ path: "file", content: CONTENT.toString("base64") }]]);
  const reference = registry.serve("app:twice", built);
  const paths = ["one", "two"].map((name) => join(folder, name));
  const children = paths.map((path) => start("pull-child.mjs", { reference, path, cache: root }).result);
  for (const { code, message } of await Promise.all(children)) assert.equal(code, undefined, message);
  assert.equal(registry.count(new RegExp(`GET.*${digestOf(built.blobs[1])}`)), 1);
});

test("the native program uses the same folder", { skip: noNative }, async () => {
  const built = image([[{ path: "file", content: CONTENT.toString("base64") }]]);
  const reference = registry.serve("app:shared", built);
  await clientOf().pull(reference);
  registry.requests.length = 0;
  await native("pull", "--cache-dir", root, "--offline", "--platform", "linux/amd64", reference, join(folder, "native"));
  assert.equal(registry.requests.length, 0);
  const other = registry.serve("other:shared", image([[{ path: "other", content: CONTENT.toString("hex") }]]));
  await native("pull", "--cache-dir", root, "--platform", "linux/amd64", other, join(folder, "fetched"));
  registry.requests.length = 0;
  await clientOf({ offline: true }).pull(other);
  assert.equal(registry.requests.length, 0);
});

test("each takes up what the other left when it was killed", { skip: noNative }, async () => {
  const path = join(folder, "root");
  for (const [index, first] of ["native", "package"].entries()) {
    const built = image([[{ path: "file", content: randomBytes(300_000) }]]);
    const reference = registry.serve(`app:left${index}`, built);
    const layer = digestOf(built.blobs[1]);
    registry.fault = (line, nth) => {
      if (!line.includes(layer)) return undefined;
      return nth === 1 ? { cut: 150_000 } : { stall: true };
    };
    const args = ["pull", "--cache-dir", root, "--platform", "linux/amd64", "--force", reference, path];
    const { child, result } =
      first === "native" ? startNative(...args) : start("pull-child.mjs", { reference, path, cache: root, options: { force: true } });
    await until(() => registry.count(new RegExp(layer)) >= 2);
    child.kill("SIGKILL");
    await result.catch(() => undefined);
    const ranges = [];
    registry.fault = (line, nth, request) => {
      if (line.includes(layer)) ranges.push(request.headers.range);
      return undefined;
    };
    if (first === "native") await clientOf().pull(reference, { to: directory(path, { force: true }) });
    else await native(...args);
    assert.equal(ranges.length, 1);
    assert.match(ranges[0], /^bytes=1\d\d\d\d\d-$/);
    assert.deepEqual(partials(), []);
  }
});

async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}
