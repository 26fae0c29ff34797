import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { Client, layout } from "../dist/entry/node.js";
import { start } from "./child.mjs";
import { digestOf, image, index } from "./image.mjs";
import { native, noNative } from "./native.mjs";
import { startRegistry } from "./registry.mjs";

let registry;
let folder;
let path;

before(async () => (registry = await startRegistry()));
after(() => registry.close());
beforeEach(() => {
  registry.fault = () => undefined;
  registry.requests.length = 0;
  folder = mkdtempSync(join(tmpdir(), "oci-fetcher-test-"));
  path = join(folder, "layout");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const client = new Client({ retry: { firstPause: 1, longestPause: 2 }, cache: false, auth: "anonymous" });
const failure = (promise) => promise.then(() => assert.fail("it succeeded"), (error) => error);
const built = (seed) => image([[{ path: seed, content: randomBytes(20_000) }], [{ path: `${seed}2`, content: seed }]]);
const manifests = () => JSON.parse(readFileSync(join(path, "index.json"), "utf8")).manifests;
const nameOf = ({ annotations }) => annotations["org.opencontainers.image.ref.name"];

function check() {
  assert.deepEqual(readdirSync(path).sort(), ["blobs", "index.json", "oci-layout"]);
  assert.equal(JSON.parse(readFileSync(join(path, "oci-layout"), "utf8")).imageLayoutVersion, "1.0.0");
  for (const name of readdirSync(join(path, "blobs/sha256"))) {
    assert.equal(digestOf(readFileSync(join(path, "blobs/sha256", name))), `sha256:${name}`);
  }
  for (const { digest, size } of manifests()) {
    assert.equal(readFileSync(join(path, "blobs/sha256", digest.slice(7))).length, size);
  }
}

test("an image is copied as it was served, and others stay", async () => {
  const [one, two] = [built("one"), built("two")];
  const reference = registry.serve("one:1", one);
  const [copied] = await client.pull(reference, { to: layout(path) });
  assert.equal(copied.digest, one.digest);
  check();
  assert.deepEqual(manifests().map(nameOf), [reference]);
  assert.equal(manifests()[0].annotations["io.containerd.image.name"], reference);
  await client.pull(registry.serve("two:1", two), { to: layout(path, { refName: "second" }) });
  assert.deepEqual(manifests().map(nameOf).sort(), [reference, "second"].sort());
  // A repeated name moves.
  await client.pull(registry.serve("two:1", built("three")), { to: layout(path, { refName: "second" }) });
  assert.deepEqual(manifests().filter((entry) => entry.annotations && nameOf(entry) === "second").length, 1);
  check();
});

test("what is there already is not fetched again, unless it is wrong", async () => {
  const one = built("again");
  const reference = registry.serve("again:1", one);
  await client.pull(reference, { to: layout(path) });
  registry.requests.length = 0;
  await client.pull(reference, { to: layout(path) });
  const layer = digestOf(one.blobs[1]);
  assert.equal(registry.count(new RegExp(layer)), 0);
  writeFileSync(join(path, "blobs/sha256", layer.slice(7)), "wrong");
  await client.pull(reference, { to: layout(path) });
  check();
});

test("an index is copied with all that is below it", async () => {
  const multi = index([
    [built("amd"), { os: "linux", architecture: "amd64" }],
    [image([[{ path: "arm", content: "a" }]], { architecture: "arm64" }), { os: "linux", architecture: "arm64" }],
  ]);
  const reference = registry.serve("multi:1", multi);
  const [copied] = await client.pull(reference, { to: layout(path), platforms: "all" });
  assert.equal(copied.digest, multi.digest);
  assert.equal(readdirSync(join(path, "blobs/sha256")).length, 1 + 2 * 2 + 3);
  check();
});

test("nothing stays of a copy that fails", async () => {
  const one = built("bad");
  const reference = registry.serve("bad:1", one);
  registry.fault = (line) => (line.includes(digestOf(one.blobs[2])) ? { flip: true } : undefined);
  const deep = join(folder, "a/b/layout");
  assert.equal((await failure(client.pull(reference, { to: layout(deep) }))).errorClass, "integrity");
  assert.deepEqual(readdirSync(folder), []);
  // In a layout that was there before, other images are not touched.
  registry.fault = () => undefined;
  await client.pull(registry.serve("good:1", built("good")), { to: layout(path) });
  registry.fault = (line) => (line.includes(digestOf(one.blobs[2])) ? { flip: true } : undefined);
  await failure(client.pull(reference, { to: layout(path) }));
  assert.equal(manifests().length, 1);
  check();
});

test("what is no layout is refused before anything is asked of the registry", async () => {
  const reference = registry.serve("refused:1", built("refused"));
  const refused = async (path) => (await failure(client.pull(reference, { to: layout(path) }))).code;
  writeFileSync(join(folder, "file"), "x");
  assert.equal(await refused(join(folder, "file")), "not-a-directory");
  assert.equal(await refused(folder), "not-a-layout");
  mkdirSync(path);
  writeFileSync(join(path, "oci-layout"), '{"imageLayoutVersion":"9.0.0"}');
  assert.equal(await refused(path), "unknown-layout-version");
  writeFileSync(join(path, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(path, "index.json"), "{");
  assert.equal(await refused(path), "malformed-manifest");
  rmSync(join(path, "index.json"));
  symlinkSync(join(folder, "file"), join(path, "index.json"));
  assert.equal(await refused(path), "irregular-file");
  rmSync(join(path, "index.json"));
  assert.equal(registry.requests.length, 0);
  mkdirSync(join(folder, "elsewhere"));
  symlinkSync(join(folder, "elsewhere"), join(path, "blobs"));
  assert.equal(await refused(path), "irregular-file");
  assert.deepEqual(readdirSync(join(folder, "elsewhere")), []);
  assert.equal(readFileSync(join(folder, "file"), "utf8"), "x");
});

test("what a killed process left is removed by the next one", async () => {
  const one = built("killed");
  const reference = registry.serve("killed:1", one);
  let stalled;
  const waiting = new Promise((resolve) => (stalled = resolve));
  registry.fault = (line) => {
    if (!line.includes(digestOf(one.blobs[2]))) return undefined;
    stalled();
    return { stall: true };
  };
  const { child, result } = start("pull-child.mjs", { reference, path, to: "layout" });
  await waiting;
  child.kill("SIGKILL");
  await result;
  assert.ok(readdirSync(path).some((name) => /^\.oci-fetcher-[0-9a-z]{6}\.js$/.test(name)));
  registry.fault = () => undefined;
  await client.pull(reference, { to: layout(path) });
  check();
});

test("many processes, the native program's too, write into one layout", async () => {
  const references = [..."abcdefgh"].map((name) => registry.serve(`${name}:1`, built(name)));
  const writing = references.map((reference, position) =>
    position % 2 === 1 && !noNative
      ? native("pull", "--no-cache", "--platform", "linux/amd64", "--layout", path, reference)
      : start("pull-child.mjs", { reference, path, to: "layout" }).result,
  );
  for (const { code, message } of await Promise.all(writing)) assert.equal(code, undefined, message);
  assert.deepEqual(manifests().map(nameOf).sort(), references.toSorted());
  check();
});

test("the native program reads what was written", { skip: noNative }, async () => {
  const reference = registry.serve("read:1", built("read"));
  await client.pull(reference, { to: layout(path, { refName: "read" }) });
  registry.requests.length = 0;
  const root = join(folder, "root");
  await native("pull", "--platform", "linux/amd64", `oci:${path}:read`, root);
  assert.equal(readFileSync(join(root, "read2"), "utf8"), "read");
  assert.equal(registry.requests.length, 0);
});
