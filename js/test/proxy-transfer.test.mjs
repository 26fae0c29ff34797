import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import test from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { createProxy, proxied } from "../dist/proxy.js";
import { BASIC, PAGE, codeOf, deferred, overHttp, serve, withDeadline } from "./proxy/ask.mjs";
import * as servers from "./proxy/servers.mjs";

const { BLOB, BLOB_DIGEST, MANIFEST } = servers;

/** Where no public registry may lead: by a redirect, or by its realm. */
const HOSTILE = [
  "http://auth.example/token",
  "http://registry.example/token",
  "http://127.0.0.1/x",
  "https://127.0.0.1/x",
  "https://localhost/x",
  "https://a.localhost./x",
  "https://2130706433/x",
  "https://0x7f.1/x",
  "https://127。0。0。1/x",
  "https://[::1]/x",
  "https://[::ffff:127.0.0.1]/x",
  "https://[64:ff9b::7f00:1]/x",
  "https://[2002:7f00:1::]/x",
  "http://169.254.169.254/latest/meta-data",
  "https://169.254.169.254/x",
  "https://[fe80::1]/x",
  "https://[fd00:ec2::254]/x",
  "https://100.100.100.200/x",
  "https://10.0.0.1/x",
  "https://172.16.0.1/x",
  "https://192.168.1.1/x",
  "https://100.64.0.1/x",
  "https://[fc00::1]/x",
  "https://0.0.0.0/x",
  "https://[::]/x",
  "https://224.0.0.1/x",
  "https://255.255.255.255/x",
  "https://user:pass@cdn.example/x",
  "file:///etc/passwd",
  "ftp://cdn.example/x",
  "https://",
  "http://[",
];

test("hostile redirects and realms are not followed", async () => {
  for (const target of HOSTILE) {
    for (const way of ["redirect", "realm"]) {
      const asked = [];
      // As bytes, which is how a header holds what is not ASCII.
      const address = Buffer.from(target).toString("latin1");
      const led = { status: 302, headers: { location: address } };
      const challenged = { status: 401, headers: { "www-authenticate": `Bearer realm="${address}"` } };
      const fetch = async (url) => (asked.push(url.href), new Response(null, way === "redirect" ? led : challenged));
      const { ask } = serve("registry.example", { fetch });
      for (const path of ["/v2/a/tags/list", "/token/v2/a/tags/list"]) {
        const response = await ask(path, { headers: { authorization: BASIC } });
        assert.equal(response.status, 502, `${way} ${target}`);
        assert.equal(await codeOf(response), way === "redirect" ? "REDIRECT_REFUSED" : "REALM_REFUSED", target);
      }
      assert.deepEqual(asked, new Array(2).fill("https://registry.example/v2/a/tags/list"), `${way} ${target}`);
    }
  }
});

test("a registry leads to what is near itself, and to what its list trusts", async () => {
  for (const [registry, target, followed] of [
    ["registry.example", "https://cdn.example/x", true],
    ["registry.example", "https://93.184.216.34/x", true],
    [{ host: "registry.example", origin: "https://10.0.0.5" }, "https://10.0.0.6/x", true],
    [{ host: "registry.example", origin: "https://10.0.0.5" }, "https://127.0.0.1/x", false],
    [{ host: "registry.example", origin: "https://10.0.0.5" }, "https://[fc00::1]/x", true],
    [{ host: "registry.example", origin: "https://10.0.0.5" }, "https://[fd00:ec2::254]/x", false],
    [{ host: "registry.example", origin: "http://10.0.0.5" }, "http://10.0.0.5/x", true],
    [{ host: "registry.example", origin: "http://10.0.0.5" }, "http://10.0.0.6/x", false],
    [{ host: "registry.example", origin: "http://10.0.0.5", trusted: ["http://10.0.0.6"] }, "http://10.0.0.6/x", true],
    [{ host: "registry.example", trusted: ["https://10.0.0.6"] }, "https://10.0.0.6/x", true],
    [{ host: "registry.example", trusted: ["http://10.0.0.6"] }, "http://10.0.0.6/x", false],
    ["localhost:5000", "http://127.0.0.1:9000/x", true],
    ["localhost:5000", "http://cdn.example/x", false],
    ["localhost:5000", "https://169.254.169.254/x", false],
  ]) {
    const fetch = async (url) =>
      url.href === target ? new Response("x") : new Response(null, { status: 302, headers: { location: target } });
    const response = await serve(registry, { fetch }).ask("/v2/a/tags/list");
    assert.equal(response.status, followed ? 200 : 502, JSON.stringify([registry, target]));
  }
});

test("a blob is followed to its storage without credentials, with its range", async (t) => {
  const storage = await servers.startStorage(t);
  const registry = await servers.startRegistry(t, { storage });
  const { ask } = serve(registry.host);
  const path = `/v2/demo/app/blobs/${BLOB_DIGEST}`;
  const whole = await ask(path, { headers: { authorization: "Bearer abc", cookie: "a=b" } });
  assert.equal(whole.status, 200);
  assert.equal(whole.headers.get("set-cookie"), null);
  assert.equal(whole.headers.get("location"), null);
  assert.deepEqual(Buffer.from(await whole.arrayBuffer()), BLOB);
  const part = await ask(path, { headers: { authorization: "Bearer abc", range: "bytes=10-" } });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get("content-range"), `bytes 10-${BLOB.length - 1}/${BLOB.length}`);
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), BLOB.subarray(10));
  assert.equal(registry.requests[1].headers.authorization, "Bearer abc");
  for (const { url, headers } of storage.requests) {
    assert.equal(url, "/blob?signature=s");
    assert.equal(headers.authorization, undefined);
    assert.equal(headers.cookie, undefined);
  }
});

test("a loop of redirects ends", async (t) => {
  const registry = await servers.start(t, ({ url }) => ({ status: 302, headers: { location: url } }));
  const response = await serve(registry.host).ask("/v2/demo/app/manifests/1.0");
  assert.equal(response.status, 502);
  assert.equal(await codeOf(response), "REDIRECT_REFUSED");
  assert.equal(registry.requests.length, 6);
});

test("a registry that does not answer is a typed error, without its cause", async (t) => {
  const silent = await servers.start(t, () => "taken");
  const late = await serve(silent.host, { timeout: 50 }).ask("/v2/");
  assert.equal(late.status, 504);
  assert.equal(await codeOf(late), "UPSTREAM_TIMEOUT");
  const closed = createServer();
  closed.listen(0, "127.0.0.1");
  await once(closed, "listening");
  const { port } = closed.address();
  await new Promise((resolve) => closed.close(resolve));
  const refused = await serve(`127.0.0.1:${port}`).ask("/v2/");
  assert.equal(refused.status, 502);
  assert.equal(refused.headers.get("access-control-allow-origin"), PAGE);
  assert.equal(await codeOf(refused), "UPSTREAM_UNREACHABLE");
  const odd = async () => {
    throw new RangeError("internal detail");
  };
  const text = await (await serve("registry.example", { fetch: odd }).ask("/v2/")).text();
  assert.doesNotMatch(text, /internal detail/);
});

test("the deadline ends with the head: a slow body may take longer", async (t) => {
  const registry = await servers.start(t, async ({ outgoing }) => {
    outgoing.writeHead(200).write("a");
    await pause(150);
    outgoing.end("b");
    return "taken";
  });
  const response = await serve(registry.host, { timeout: 50 }).ask("/v2/demo/app/manifests/1.0");
  assert.equal(await response.text(), "ab");
});

test("a blob is streamed, held back by a slow reader, and given up with it", async (t) => {
  const chunk = Buffer.alloc(1 << 16, 7);
  let written = 0;
  const upstreamClosed = deferred();
  const registry = await servers.start(t, ({ outgoing }) => {
    outgoing.once("close", () => upstreamClosed.resolve());
    outgoing.writeHead(200, { "content-length": 1 << 30 });
    const more = () => {
      while (!outgoing.destroyed) {
        written += chunk.length;
        if (!outgoing.write(chunk)) return void outgoing.once("drain", more);
      }
    };
    more();
    return "taken";
  });
  const { origin } = await overHttp(t, createProxy({ registries: [registry.host] }));
  const response = await new Promise((resolve) => {
    httpRequest(`${origin}/${registry.host}/v2/demo/app/blobs/${BLOB_DIGEST}`, resolve).end();
  });
  assert.equal(response.headers["content-length"], String(1 << 30));
  await once(response, "readable");
  await pause(300);
  const held = written;
  assert.ok(held < 32 << 20, `${held} bytes for a reader that reads none`);
  await pause(100);
  assert.equal(written, held);
  response.destroy();
  await withDeadline(upstreamClosed.promise, "the registry's connection is closed");
});

test("a client that goes before the answer ends the question", async (t) => {
  const asked = deferred();
  const closed = deferred();
  const registry = await servers.start(t, ({ outgoing }) => {
    outgoing.once("close", () => closed.resolve());
    asked.resolve();
    return "taken";
  });
  const controller = new AbortController();
  const answer = serve(registry.host).ask("/v2/demo/app/tags/list", { signal: controller.signal });
  await asked.promise;
  controller.abort();
  await withDeadline(closed.promise, "the registry's connection is closed");
  await answer;
});

test("a body that is cut short does not end well", async (t) => {
  const registry = await servers.start(t, ({ outgoing }) => {
    outgoing.writeHead(200, { "content-length": 100 }).write("short");
    setTimeout(() => outgoing.destroy(), 50);
    return "taken";
  });
  const { origin } = await overHttp(t, createProxy({ registries: [registry.host] }));
  const response = await fetch(`${origin}/${registry.host}/v2/demo/app/blobs/${BLOB_DIGEST}`);
  await assert.rejects(response.text());
});

test("an encoding that fetch has undone is not claimed", async (t) => {
  const packed = gzipSync(MANIFEST);
  const registry = await servers.start(t, () => ({
    headers: { "content-encoding": "gzip", "content-length": packed.length },
    body: packed,
  }));
  const response = await serve(registry.host).ask("/v2/demo/app/manifests/1.0");
  assert.equal(response.headers.get("content-encoding"), null);
  assert.equal(response.headers.get("content-length"), null);
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), MANIFEST);
});

test("hook, proxy and server lead through a whole exchange", async (t) => {
  const issuer = await servers.startIssuer(t);
  const storage = await servers.startStorage(t);
  const registry = await servers.startRegistry(t, { issuer, storage });
  const { origin } = await overHttp(t, createProxy({ registries: [registry.host], path: "/oci" }));
  const hook = proxied(`${origin}/oci`);
  const blob = new URL(`${registry.origin}/v2/demo/app/blobs/${BLOB_DIGEST}`);
  const refused = await fetch(hook(blob));
  const [, realm, service, scope] = /realm="(.*?)",service="(.*?)",scope="(.*?)"/.exec(
    refused.headers.get("www-authenticate"),
  );
  assert.equal(new URL(realm).origin, registry.origin, "the registry's own, as the client sees it");
  const form = new URLSearchParams({ grant_type: "refresh_token", refresh_token: "identity", service, scope });
  const { token } = await (await fetch(hook(new URL(realm)), { method: "POST", body: form })).json();
  const headers = { authorization: `Bearer ${token}`, range: "bytes=5-" };
  const part = await fetch(hook(blob), { headers });
  assert.equal(part.status, 206);
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), BLOB.subarray(5));
});
