import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { inspect } from "node:util";
import { Client, memory } from "../dist/entry/node.js";
import { artifact, digestOf, image, index } from "./image.mjs";
import { startRegistry } from "./registry.mjs";

let registry;

before(async () => (registry = await startRegistry()));
after(() => registry.close());
beforeEach(() => {
  registry.fault = () => undefined;
  registry.requests.length = 0;
});

const QUICK = { retry: { firstPause: 1, longestPause: 2 }, cache: false, auth: "anonymous" };
const text = (bytes) => Buffer.from(bytes).toString();

const BASE = [
  { path: "etc/", type: "directory" },
  { path: "etc/name", content: "base\n" },
  { path: "etc/gone", content: "soon\n" },
  { path: "bin", type: "symlink", target: "usr/bin" },
  { path: "usr/bin/tool", content: "#!/bin/sh\n", mode: 0o4755 },
  { path: "usr/bin/alias", type: "link", target: "usr/bin/tool" },
];
const TOP = [
  { path: "etc/.wh.gone" },
  { path: "etc/name", content: "top\n" },
  { path: "large", content: "x".repeat(700_000) },
];

test("an image is merged, and read back as files", async () => {
  const reference = registry.serve("app:1", image([BASE, TOP]));
  const pulled = await new Client(QUICK).pull(reference, { to: memory() });
  const { files } = pulled;
  assert.equal(text(await files.read("/etc/name")), "top\n");
  assert.equal(await files.stat("etc/gone"), undefined);
  assert.equal(await files.readlink("bin"), "usr/bin");
  assert.equal((await files.lstat("bin")).kind, "symlink");
  assert.equal((await files.stat("bin")).kind, "directory");
  assert.equal(text(await files.read("bin/tool")), "#!/bin/sh\n");
  const tool = await files.stat("usr/bin/tool");
  assert.deepEqual([tool.mode, tool.links, tool.size], [0o4755, 2, 10]);
  assert.deepEqual((await files.readdir("usr/bin")).map(({ path }) => path), ["alias", "tool"]);
  const paths = [];
  for await (const entry of files.walk()) paths.push(entry.path);
  assert.deepEqual(paths, ["", "bin", "etc", "etc/name", "large", "usr", "usr/bin", "usr/bin/alias", "usr/bin/tool"]);
  assert.equal((await files.read("large")).length, 700_000);
  assert.equal(pulled.counts.files, 3);
  assert.deepEqual(pulled.config.env, ["A=b"]);
  await assert.rejects(files.read("nowhere"), { code: "path-not-found", errorClass: "not-found" });
  await assert.rejects(files.read("etc"), { code: "not-a-file" });
  await assert.rejects(files.readdir("etc/name"), { code: "not-a-directory" });
  await assert.rejects(files.readlink("etc"), { code: "not-a-symlink" });
  pulled.close();
  await assert.rejects(files.stat("etc"), { code: "closed" });
});

test("the listing and the tar are the same each time", async () => {
  const reference = registry.serve("app:listed", image([BASE, TOP]));
  const client = new Client(QUICK);
  const results = [];
  for (let round = 0; round < 2; round += 1) {
    const pulled = await client.pull(reference);
    const { digest, lines } = await pulled.files.listing();
    const tar = await collect(pulled.files.tar());
    assert.equal(tar.length % 512, 0);
    results.push([digest, lines.length, digestOf(tar)]);
    pulled.close();
  }
  assert.deepEqual(results[0], results[1]);
  assert.equal(results[0][1], 9);
});

test("several references are merged in their order", async () => {
  const one = registry.serve("one:1", image([BASE]));
  const two = registry.serve("two:1", image([TOP]));
  const pulled = await new Client(QUICK).pull([one, two]);
  assert.equal(text(await pulled.files.read("etc/name")), "top\n");
  assert.equal(pulled.images.length, 2);
  pulled.close();
});

test("a selection holds the paths asked for", async () => {
  const reference = registry.serve("app:selected", image([BASE, TOP]));
  const pulled = await new Client(QUICK).pull(reference, { path: "etc" });
  assert.equal(await pulled.files.stat("large"), undefined);
  assert.equal(text(await pulled.files.read("etc/name")), "top\n");
  pulled.close();
  await assert.rejects(new Client(QUICK).pull(reference, { path: "none/such" }), { code: "path-not-found" });
  registry.requests.length = 0;
  const outside = new Client(QUICK).pull(reference, { path: "../etc" });
  await assert.rejects(outside, { code: "unsafe-name", errorClass: "usage" });
  assert.deepEqual(registry.requests, []);
});

test("an index yields the image for the platform", async () => {
  const arm = image([[{ path: "arm", content: "a" }]], { architecture: "arm64" });
  const reference = registry.serve(
    "multi:1",
    index([
      [image([[{ path: "amd", content: "a" }]]), { os: "linux", architecture: "amd64" }],
      [arm, { os: "linux", architecture: "arm64" }],
    ]),
  );
  const client = new Client(QUICK);
  assert.equal((await client.resolve(reference, { platform: "linux/arm64" })).digest, arm.digest);
  assert.equal((await client.manifest(reference)).mediaType, "application/vnd.oci.image.index.v1+json");
  assert.equal((await client.manifest(reference, { platform: "linux/arm64" })).digest, arm.digest);
  const missing = await failure(client.pull(reference, { platform: "linux/s390x" }));
  assert.deepEqual([missing.code, missing.exitCode], ["platform-not-found", 3]);
});

test("manifests, configs and tags come as they are", async () => {
  const built = image([BASE]);
  const reference = registry.serve("inspected:1", built);
  const client = new Client(QUICK);
  assert.equal(digestOf((await client.manifest(reference)).bytes), built.digest);
  assert.deepEqual(await client.tags(reference), ["1"]);
  assert.equal((await client.config(reference)).labels.purpose, "test");
  assert.equal((await client.resolve(reference)).layers.length, 1);
});

test("bad content has its own codes, and leaves nothing", async () => {
  const client = new Client(QUICK);
  const flipped = image([[{ path: "flipped", content: "x" }]]);
  const blob = digestOf(flipped.blobs[1]);
  registry.fault = (line) => (line.includes(blob) ? { flip: true } : undefined);
  const damaged = await failure(client.pull(registry.serve("bad:flipped", flipped)));
  assert.equal(damaged.errorClass, "integrity");
  registry.fault = () => undefined;
  const other = image([BASE], { diffIds: [digestOf(Buffer.from("other"))] });
  assert.equal((await failure(client.pull(registry.serve("bad:diff", other)))).code, "diff-id-mismatch");
  assert.equal((await failure(client.pull(`${registry.host}/bad:none`))).code, "not-found");
  assert.equal((await failure(client.pull("a//b"))).code, "malformed-reference");
  const titled = registry.serve("bad:artifact", artifact([{ type: "text/plain", content: "x" }]));
  assert.equal((await failure(client.pull(titled))).code, "not-an-image");
  const many = image([BASE]);
  const limited = new Client({ ...QUICK, limits: { entries: 2 } });
  assert.equal((await failure(limited.pull(registry.serve("bad:many", many)))).errorClass, "refused");
});

test("a connection that breaks is taken up where it stopped", async () => {
  const built = image([[{ path: "noise", content: noise(300_000) }]]);
  const blob = digestOf(built.blobs[1]);
  const ranges = [];
  registry.fault = (line, nth, request) => {
    if (!line.includes(blob)) return undefined;
    ranges.push(request.headers.range);
    return nth === 1 ? { cut: 100_000 } : undefined;
  };
  const events = [];
  const pulled = await new Client(QUICK).pull(registry.serve("cut:1", built), { onProgress: (event) => events.push(event) });
  assert.equal((await pulled.files.read("noise")).length, 300_000);
  pulled.close();
  assert.match(ranges[1], /^bytes=[1-9]\d*-$/);
  assert.ok(events.some(({ kind }) => kind === "retry"));
  assert.ok(events.some(({ kind, digest }) => kind === "verified" && digest === blob));
});

test("a signal ends a pull", async () => {
  const built = image([[{ path: "noise", content: noise(300_000) }]]);
  const stop = new AbortController();
  registry.fault = (line) => (line.includes("/blobs/") && line.includes(digestOf(built.blobs[1])) ? { stall: true } : undefined);
  const pulling = new Client(QUICK).pull(registry.serve("slow:1", built), {
    signal: stop.signal,
    onProgress: ({ kind }) => kind === "resolved" && setTimeout(() => stop.abort("enough"), 20),
  });
  const error = await failure(pulling);
  assert.deepEqual([error.code, error.exitCode, error.cause], ["aborted", 130, "enough"]);
  assert.equal((await failure(new Client(QUICK).tags("x", { signal: AbortSignal.abort() }))).code, "aborted");
});

test("offline, whatever is not stored is not found", async () => {
  const offline = new Client({ ...QUICK, offline: true });
  assert.equal((await failure(offline.pull(`${registry.host}/app:1`))).errorClass, "not-found");
});

test("credentials are used, and never shown", async () => {
  const locked = await startRegistry({ login: { username: "user", password: "s3cret:word" } });
  try {
    const reference = locked.serve("private:1", image([BASE]));
    const asked = [];
    const auth = (host, repository) => {
      asked.push([host, repository]);
      return { username: "user", password: "s3cret:word" };
    };
    assert.equal((await new Client({ ...QUICK, auth }).resolve(reference)).layers.length, 1);
    assert.deepEqual(asked, [[locked.host, "private"]]);
    const client = new Client({ ...QUICK, auth: { username: "user", password: "wr0ng" } });
    const refused = await failure(client.resolve(reference));
    assert.equal(refused.errorClass, "authentication");
    assert.equal(refused.exitCode, 4);
    for (const shown of [inspect(refused, { depth: 9 }), inspect(client, { depth: 9, showHidden: true }), JSON.stringify(client), String(client)]) {
      assert.doesNotMatch(shown, /wr0ng|d3Iwbmc/);
    }
    assert.equal((await failure(new Client(QUICK).resolve(reference))).errorClass, "authentication");
  } finally {
    await locked.close();
  }
});

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    assert.equal(error.name, "OciError", inspect(error));
    return error;
  }
  return assert.fail("it succeeded");
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Returns text that does not compress to nothing. */
function noise(length) {
  let state = 1;
  let text = "";
  while (text.length < length) {
    state = (state * 48_271) % 2_147_483_647;
    text += state.toString(36);
  }
  return text.slice(0, length);
}
