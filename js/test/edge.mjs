// The edge example in workerd, against a registry on loopback: node test/edge.mjs [PACKAGE]
//
// PACKAGE is the folder of a built package; by default the one that this test lies in. Needs miniflare.
// workerd itself resolves the package's files, with no bundler between; the package's WebAssembly is
// given to it as a compiled module, since it may compile nothing from bytes.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Miniflare } from "miniflare";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(process.argv[2] ?? path.join(here, ".."));
const entry = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")).exports["."].workerd.default;

/** `(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))` */
const ADD = Buffer.from("0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b", "hex");

const registry = await startRegistry();
const modules = [
  { type: "ESModule", path: "worker.js", contents: readFileSync(path.join(here, "../examples/edge/worker.js")) },
  { type: "ESModule", path: "oci-fetcher", contents: `export * from "${entry}";` },
  ...reachable(entry),
];
const options = {
  modules,
  compatibilityDate: "2026-01-01",
  bindings: { REPOSITORIES: `${registry.host}/demo/add ${registry.host}/demo/wrong` },
};
const serving = new Miniflare(options);
const running = new Miniflare({ ...options, workerLoaders: { LOADER: {} } });
try {
  const served = await ask(serving, "demo/add:1");
  assert.equal(served.status, 200, await served.clone().text());
  assert.equal(served.headers.get("content-type"), "application/wasm");
  assert.equal(served.headers.get("etag"), `"${digestOf(ADD)}"`);
  assert.deepEqual(Buffer.from(await served.arrayBuffer()), ADD);
  console.log("ok - a module is fetched, verified and served");

  const before = registry.requests.length;
  const again = await ask(serving, "demo/add:1");
  assert.deepEqual(Buffer.from(await again.arrayBuffer()), ADD);
  assert.equal(registry.requests.length, before);
  console.log("ok - a second request is answered by the Cache API");

  const wrong = await ask(serving, "demo/wrong:1");
  assert.equal(wrong.status, 502);
  assert.equal((await wrong.json()).error, "digest-mismatch");
  console.log("ok - bytes of another digest are not served");

  assert.equal((await ask(serving, "demo/other:1")).status, 403);
  assert.equal((await ask(serving, "demo/add:2")).status, 404);
  assert.equal((await ask(serving, "demo/add:1?call=add&with=2&with=40")).status, 501);
  console.log("ok - what is not listed, not there or not possible is refused");

  const called = await ask(running, "demo/add:1?call=add&with=2&with=40");
  assert.equal(called.status, 200, await called.clone().text());
  assert.deepEqual(await called.json(), { result: 42 });
  assert.equal((await ask(running, "demo/add:1?call=none")).status, 422);
  console.log("ok - with a loader binding its function is called");
} finally {
  await Promise.all([serving.dispose(), running.dispose()]);
  registry.close();
}

function ask(worker, rest) {
  return worker.dispatchFetch(`http://worker.example/${registry.host}/${rest}`);
}

/** The package's files that a module leads to by its imports, as workerd takes them. */
function reachable(start) {
  const found = new Map();
  const visit = (name) => {
    if (found.has(name)) return;
    const contents = readFileSync(path.join(root, name));
    if (name.endsWith(".wasm")) return void found.set(name, { type: "CompiledWasm", path: name, contents });
    found.set(name, { type: "ESModule", path: name, contents });
    for (const [, specifier] of contents.toString().matchAll(/(?:from|import|import\()\s*["'](\.[^"']+)["']/g)) {
      visit(path.posix.join(path.posix.dirname(name), specifier));
    }
  };
  visit(path.posix.normalize(start));
  return [...found.values()];
}

/** A registry without authentication: one module, and one whose bytes are others than its digest's. */
async function startRegistry() {
  const config = Buffer.from('{"architecture":"wasm","os":"wasip1","layerDigests":[]}');
  const descriptor = (mediaType, bytes) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const type = "application/vnd.oci.image.manifest.v1+json";
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: type,
    config: descriptor("application/vnd.wasm.config.v0+json", config),
    layers: [descriptor("application/wasm", ADD)],
  });
  const flipped = Buffer.from(ADD);
  flipped[flipped.length - 1] ^= 1;
  const requests = [];
  const server = createServer((request, response) => {
    requests.push(request.url);
    const [, repository, kind, reference] = /^\/v2\/demo\/(\w+)\/(\w+)\/(.+)$/.exec(request.url) ?? [];
    const content = {
      manifests: reference === "1" ? manifest : undefined,
      blobs: reference === digestOf(config) ? config : repository === "wrong" ? flipped : ADD,
    }[kind];
    if (content === undefined) return void response.writeHead(404).end("{}");
    response.writeHead(200, { "content-type": kind === "manifests" ? type : "application/octet-stream" });
    response.end(request.method === "HEAD" ? undefined : content);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { host: `127.0.0.1:${server.address().port}`, requests, close: () => server.close() };
}

function digestOf(bytes) {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
