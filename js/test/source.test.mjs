import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";
import { archive, Client, layout, staticLayout } from "../dist/entry/node.js";
import { digestOf, image, tar } from "./image.mjs";
import { startRegistry } from "./registry.mjs";

const client = new Client({ retry: { firstPause: 1, longestPause: 2 }, cache: false, auth: "anonymous" });
const CONTENT = randomBytes(400_000);
const IMAGE = image([[{ path: "file", content: CONTENT }], [{ path: "top", content: "top" }]]);
const LAYER = digestOf(IMAGE.blobs[1]).slice(7);

let registry;
let folder;
let path;

before(async () => (registry = await startRegistry()));
after(() => registry.close());
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "oci-fetcher-test-"));
  path = join(folder, "layout");
  await client.pull(registry.serve("app:1", IMAGE), { to: layout(path, { refName: "team/app:1" }) });
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  rmSync(folder, { recursive: true, force: true });
});

const closing = [];

const failure = (promise) => promise.then(() => assert.fail("it succeeded"), (error) => error);

async function holds(source) {
  const pulled = await client.pull(source);
  assert.ok(CONTENT.equals(await pulled.files.read("file")));
  pulled.close();
  return pulled;
}

test("a layout on this machine", async () => {
  assert.equal((await holds(`oci:${path}`)).digest, IMAGE.digest);
  await holds(`oci:${path}:team/app:1`);
  const code = async (text) => (await failure(client.pull(text))).code;
  assert.equal(await code(`oci:${path}:other`), "image-not-found");
  assert.equal(await code(`oci:${folder}/none`), "source-not-found");
  assert.equal(await code(`oci:${folder}`), "other-kind-of-source");
  assert.equal(await code(`oci:${path}/index.json`), "other-kind-of-source");
  assert.equal(await code("oci:"), "malformed-source");
  assert.equal(await code("oci:dir:"), "malformed-source");
  assert.equal(await code("docker-daemon:alpine"), "unknown-source");
  const blob = join(path, "blobs/sha256", LAYER);
  const damaged = readFileSync(blob);
  damaged[1_000] ^= 1;
  writeFileSync(blob, damaged);
  assert.equal((await failure(client.pull(`oci:${path}`))).errorClass, "integrity");
  rmSync(blob);
  symlinkSync("/etc/passwd", blob);
  assert.equal(await code(`oci:${path}`), "irregular-file");
});

test("docker:// forces a registry", async () => {
  const reference = registry.serve("oci:1", IMAGE);
  await holds(`docker://${reference}`);
});

function layoutTar() {
  const names = ["oci-layout", "index.json", ...[...IMAGE.blobs, IMAGE.bytes].map((bytes) => `blobs/sha256/${digestOf(bytes).slice(7)}`)];
  return tar(names.map((name) => ({ path: name, content: readFileSync(join(path, name)) })));
}

function dockerTar({ compress = (bytes) => bytes } = {}) {
  const layers = [[{ path: "file", content: CONTENT }], [{ path: "top", content: "top" }]].map((layer) => tar(layer));
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: layers.map(digestOf) },
  });
  const listing = [{ Config: "config.json", RepoTags: ["app:1"], Layers: ["a/layer.tar", "b/layer.tar"] }];
  return tar([
    { path: "a/layer.tar", content: compress(layers[0]) },
    { path: "b/layer.tar", content: compress(layers[1]) },
    { path: "config.json", content: config },
    { path: "manifest.json", content: JSON.stringify(listing) },
  ]);
}

test("archives in a Blob, plain and compressed", async () => {
  for (const bytes of [layoutTar(), gzipSync(layoutTar())]) {
    assert.equal((await holds(archive(new Blob([bytes])))).digest, IMAGE.digest);
  }
  await holds(archive(new Blob([layoutTar()]), { name: "team/app:1", kind: "oci" }));
  const docker = await holds(archive(new Blob([dockerTar()]), { name: "app:1" }));
  assert.match(docker.warnings.join(), /no manifest/);
  await holds(archive(new Blob([dockerTar({ compress: gzipSync })])));
  await holds(archive(new Blob([gzipSync(dockerTar())])));
});

test("archives on this machine", async () => {
  writeFileSync(join(folder, "oci.tar"), layoutTar());
  writeFileSync(join(folder, "oci.tar.gz"), gzipSync(layoutTar()));
  writeFileSync(join(folder, "docker.tar"), dockerTar());
  await holds(`oci-archive:${folder}/oci.tar`);
  await holds(`oci-archive:${folder}/oci.tar.gz:team/app:1`);
  await holds(`docker-archive:${folder}/docker.tar:app:1`);
  const failed = async (text) => failure(client.pull(text));
  const other = await failed(`docker-archive:${folder}/oci.tar`);
  assert.equal(other.code, "other-kind-of-source");
  assert.match(other.advice, /oci-archive:/);
  assert.equal((await failed(`oci-archive:${path}`)).code, "other-kind-of-source");
  assert.equal((await failed(`oci-archive:${folder}/none`)).code, "source-not-found");
  assert.equal((await failed(`docker-archive:${folder}/docker.tar:none`)).errorClass, "not-found");
});

test("bad archives have their own codes", async () => {
  const code = async (bytes, options) => {
    const { code, errorClass } = await failure(client.pull(archive(new Blob([bytes]), options)));
    return `${errorClass} ${code}`;
  };
  assert.equal(await code(layoutTar().subarray(0, 300_000)), "integrity tar-truncated");
  assert.equal(await code(gzipSync(layoutTar()).subarray(0, 300_000)), "integrity malformed-gzip");
  assert.equal(await code(tar([{ path: "x", content: "x" }])), "not-found other-kind-of-source");
  assert.equal(await code(dockerTar(), { kind: "oci" }), "not-found other-kind-of-source");
  assert.equal(await code(tar([{ path: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' }])), "integrity incomplete-source");
  assert.equal(await code(Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), layoutTar()])), "unsupported not-supported");
  const lacking = tar([{ path: "manifest.json", content: '[{"Config":"c","RepoTags":null,"Layers":["l"]}]' }]);
  assert.equal(await code(lacking), "integrity incomplete-source");
});

/** Serves the layout as files; `fault` may say what goes wrong with a request. */
async function host(fault = () => undefined) {
  const asked = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://host");
    asked.push([pathname, request.headers.range]);
    const wrong = fault(pathname, asked.filter(([other]) => other === pathname).length) ?? {};
    if (wrong.status !== undefined) return response.writeHead(wrong.status).end();
    let bytes;
    try {
      bytes = readFileSync(join(path, pathname.replace(/^\/images/, "")));
    } catch {
      return response.writeHead(404).end();
    }
    const from = wrong.ignoresRange ? 0 : Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const headers = from > 0 ? { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {};
    response.writeHead(from > 0 ? 206 : 200, { ...headers, "content-length": bytes.length - from });
    if (wrong.cut === undefined) return response.end(bytes.subarray(from));
    response.write(bytes.subarray(from, from + wrong.cut), () => setTimeout(() => response.destroy(), 20));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => (server.closeAllConnections(), new Promise((resolve) => server.close(resolve))));
  return { url: `http://127.0.0.1:${server.address().port}/images`, asked };
}

test("a layout on a static host", async () => {
  const served = await host();
  assert.equal((await holds(served.url)).digest, IMAGE.digest);
  await holds(`${served.url}#team/app:1`);
  await holds(staticLayout(`${served.url}/`, { name: "team/app:1" }));
  assert.equal((await failure(client.pull(`${served.url}#none`))).code, "image-not-found");
  assert.equal((await failure(client.pull(`${served.url}/none`))).code, "other-kind-of-source");
  assert.throws(() => staticLayout("http://host.example/images"), { code: "unsafe-url", errorClass: "refused" });
  assert.throws(() => staticLayout("ftp://host.example/images"), { code: "unsafe-url" });
  assert.throws(() => staticLayout("not a url"), { code: "usage" });
});

test("a static host's connection that breaks is taken up where it stopped", async () => {
  for (const ignoresRange of [false, true]) {
    const served = await host((pathname, nth) =>
      pathname.includes(LAYER) ? { ignoresRange, ...(nth < 3 && { cut: 100_000 }) } : nth === 1 ? { status: 503 } : undefined,
    );
    await holds(served.url);
    const ranges = served.asked.filter(([pathname]) => pathname.includes(LAYER)).map(([, range]) => range);
    assert.equal(ranges[0], undefined);
    assert.match(ranges[1], /^bytes=\d{4,6}-$/);
    assert.equal(ranges.length, 3);
  }
});

test("a static host's faults have their own codes", async () => {
  const code = async (fault) => {
    const served = await host(fault);
    const { code, errorClass } = await failure(client.pull(served.url));
    return `${errorClass} ${code}`;
  };
  assert.equal(await code((path) => (path.includes(LAYER) ? { status: 403 } : undefined)), "authentication denied");
  assert.equal(await code((path) => (path.includes("index.json") ? { status: 404 } : undefined)), "integrity incomplete-source");
  const blob = join(path, "blobs/sha256", LAYER);
  const damaged = readFileSync(blob);
  damaged[1_000] ^= 1;
  writeFileSync(blob, damaged);
  assert.match(await code(() => undefined), /^integrity /);
  const stop = new AbortController();
  const served = await host((path) => (path.includes(LAYER) ? { cut: 10 } : undefined));
  setTimeout(() => stop.abort(), 100);
  assert.equal((await failure(client.pull(served.url, { signal: stop.signal }))).code, "aborted");
});
