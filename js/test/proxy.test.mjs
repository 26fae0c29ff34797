import assert from "node:assert/strict";
import { once } from "node:events";
import test from "node:test";
import { createProxy, proxied } from "../dist/proxy.js";
import { PAGE, codeOf, serve } from "./proxy/ask.mjs";
import * as servers from "./proxy/servers.mjs";

const { BLOB_DIGEST, MANIFEST, MANIFEST_DIGEST, MANIFEST_TYPE } = servers;

test("a manifest comes as it is, with CORS and without what is not for the page", async (t) => {
  const registry = await servers.startRegistry(t);
  const { ask } = serve(registry.host);
  const response = await ask("/v2/demo/app/manifests/1.0?drop=this", {
    headers: {
      accept: MANIFEST_TYPE,
      authorization: "Bearer abc",
      cookie: "session=page",
      referer: `${PAGE}/secret`,
      "x-secret": "1",
      "x-forwarded-for": "10.1.2.3",
    },
  });
  assert.equal(response.status, 200);
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), MANIFEST);
  const { headers } = response;
  assert.equal(headers.get("access-control-allow-origin"), PAGE);
  assert.equal(headers.get("vary"), "Origin");
  assert.equal(headers.get("content-type"), MANIFEST_TYPE);
  assert.equal(headers.get("content-length"), String(MANIFEST.length));
  assert.equal(headers.get("docker-content-digest"), MANIFEST_DIGEST);
  assert.equal(headers.get("warning"), '299 - "old"');
  assert.equal(headers.get("cache-control"), "no-store");
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  for (const name of ["set-cookie", "x-internal", "access-control-allow-credentials"]) {
    assert.equal(headers.get(name), null, name);
  }
  const exposed = headers.get("access-control-expose-headers").split(", ");
  const needed = ["www-authenticate", "docker-content-digest", "content-range", "link", "retry-after", "warning"];
  for (const name of needed) assert.ok(exposed.includes(name), name);

  const [seen] = registry.requests;
  assert.equal(seen.url, "/v2/demo/app/manifests/1.0");
  assert.equal(seen.headers.accept, MANIFEST_TYPE);
  assert.equal(seen.headers.authorization, "Bearer abc");
  assert.equal(seen.headers["accept-encoding"], "identity");
  for (const name of ["cookie", "origin", "referer", "x-secret", "x-forwarded-for"]) {
    assert.equal(seen.headers[name], undefined, name);
  }
});

test("HEAD is served, without a body", async (t) => {
  const registry = await servers.startRegistry(t);
  const response = await serve(registry.host).ask("/v2/demo/app/manifests/1.0", { method: "HEAD" });
  assert.equal(response.status, 200);
  assert.equal(response.body, null);
  assert.equal(response.headers.get("docker-content-digest"), MANIFEST_DIGEST);
  assert.equal(registry.requests[0].method, "HEAD");
});

test("preflights are answered by the proxy itself", async (t) => {
  const registry = await servers.startRegistry(t);
  const { ask } = serve(registry.host);
  const asked = { "access-control-request-method": "GET", "access-control-request-headers": "authorization,range" };
  const response = await ask("/v2/demo/app/manifests/1.0", { method: "OPTIONS", headers: asked });
  assert.equal(response.status, 204);
  assert.equal(response.headers.get("access-control-allow-origin"), PAGE);
  const allowed = response.headers.get("access-control-allow-headers").toLowerCase().split(", ");
  for (const name of ["authorization", "range", "accept", "content-type"]) assert.ok(allowed.includes(name), name);
  assert.match(response.headers.get("access-control-allow-methods"), /GET, HEAD, POST/);

  const refused = await ask("/v2/", { method: "OPTIONS", headers: { ...asked, origin: "https://evil.example" } });
  assert.equal(refused.status, 403);
  assert.equal(refused.headers.get("access-control-allow-origin"), null);
  assert.equal(registry.requests.length, 0);
});

test("pages are admitted by their origin, by default only the proxy's own", async (t) => {
  const registry = await servers.startRegistry(t);
  const own = "https://proxy.example";
  const other = "https://evil.example";
  for (const [allowOrigins, headers, status, allowed] of [
    [undefined, { origin: own }, 200, own],
    [undefined, { origin: "http://proxy.example" }, 200, "http://proxy.example"],
    [undefined, { origin: other }, 403, null],
    [undefined, { origin: "null" }, 403, null],
    [undefined, {}, 200, null],
    [undefined, { "sec-fetch-site": "same-origin" }, 200, null],
    [undefined, { "sec-fetch-site": "cross-site" }, 403, null],
    [undefined, { "sec-fetch-site": "same-site" }, 403, null],
    [[PAGE], { origin: PAGE }, 200, PAGE],
    [[PAGE], { origin: `${PAGE}.evil.example` }, 403, null],
    [[PAGE], { origin: other }, 403, null],
    ["*", { origin: other }, 200, "*"],
    ["*", { origin: "null" }, 200, "*"],
    [
      (origin) => origin.endsWith(".preview.example"),
      { origin: "https://1.preview.example" },
      200,
      "https://1.preview.example",
    ],
    [(origin) => origin.endsWith(".preview.example"), { origin: other }, 403, null],
  ]) {
    const handler = createProxy({ registries: [registry.host], allowOrigins });
    const before = registry.requests.length;
    const response = await handler(new Request(`https://proxy.example/${registry.host}/v2/`, { headers }));
    const label = JSON.stringify([String(allowOrigins), headers]);
    assert.equal(response.status, status, label);
    assert.equal(response.headers.get("access-control-allow-origin"), allowed, label);
    assert.equal(registry.requests.length - before, status === 200 ? 1 : 0, label);
  }
});

test("only reading is served", async (t) => {
  const registry = await servers.startRegistry(t);
  const { ask } = serve(registry.host);
  for (const method of ["PUT", "PATCH", "DELETE", "POST"]) {
    const response = await ask("/v2/demo/app/manifests/1.0", { method, body: "{}" });
    assert.equal(response.status, 405, method);
    assert.equal(response.headers.get("allow"), "GET, HEAD, OPTIONS");
    assert.equal(response.headers.get("access-control-allow-origin"), PAGE, "the page can read why");
    assert.equal(await codeOf(response), "UNSUPPORTED");
  }
  for (const path of [
    "",
    "/",
    "/v1/_ping",
    "/v2/_catalog",
    "/v2/demo/app/blobs/uploads/",
    "/v2/demo/app/blobs/uploads/1",
    "/v2/demo/app/blobs/latest",
    "/v2/demo/app/tags/other",
    "/v2/tags/list",
    "/v2/Demo/app/tags/list",
    "/v2/demo//tags/list",
    "/v2/demo/app/manifests/",
    "/v2/demo/app/manifests/a%2fb",
    "/v2/demo%2f..%2fapp/tags/list",
    "/v2/demo/app/manifests/%",
    "/v2/demo/app/constructor/x",
    "/metrics",
    "/v2/../metrics",
    "/token",
    "/token/metrics",
    "/v2/demo/app/manifests/1.0/extra",
    `/v2/${"a/".repeat(128)}a/tags/list`,
    "/v2/demo/app/referrers/latest",
  ]) {
    const response = await ask(path);
    assert.equal(response.status, 404, path);
    assert.equal(await codeOf(response), "NAME_INVALID", path);
  }
  assert.equal(registry.requests.length, 0);
  for (const path of [
    "/v2",
    "/v2/",
    "/v2/demo/app/manifests/1.0",
    `/v2/demo/app/manifests/${MANIFEST_DIGEST}`,
    `/v2/demo/app/blobs/${encodeURIComponent(BLOB_DIGEST)}`,
    "/v2/demo/app/tags/list",
    "/v2/a/blobs/b/tags/list",
    `/v2/demo/app/referrers/${BLOB_DIGEST}`,
    "/v2/a__b/c-d.e/tags/list",
  ]) {
    await (await ask(path)).body?.cancel();
  }
  assert.equal(registry.requests.length, 9);
});

test("only listed registries are served, under all of their names", async () => {
  const asked = [];
  const fetch = async (url) => (asked.push(url.href), new Response("{}"));
  const handler = createProxy({
    registries: ["docker.io", "Registry.Example:443", { host: "inner.example", origin: "http://10.0.0.5:5000" }],
    fetch,
  });
  for (const [path, target] of [
    ["/docker.io/v2/", "https://registry-1.docker.io/v2/"],
    ["/index.docker.io/v2/", "https://registry-1.docker.io/v2/"],
    ["/https/registry-1.docker.io/v2/", "https://registry-1.docker.io/v2/"],
    ["/registry.example/v2/", "https://registry.example/v2/"],
    ["/https/inner.example/v2/", "http://10.0.0.5:5000/v2/"],
  ]) {
    assert.equal((await handler(new Request(`https://proxy.example${path}`))).status, 200, path);
    assert.equal(asked.pop(), target);
  }
  for (const [path, status] of [
    ["/evil.example/v2/", 403],
    ["/registry.example:8443/v2/", 403],
    ["/registry.example.evil/v2/", 403],
    ["/10.0.0.5:5000/v2/", 403],
    ["/169.254.169.254/v2/", 403],
    ["/http/169.254.169.254/v2/", 403],
    ["/ftp/registry.example/v2/", 404],
    ["/user@registry.example/v2/", 404],
    ["/registry.example%2f@evil/v2/", 404],
    ["/registry.example%3fx/v2/", 404],
    ["//v2/", 404],
  ]) {
    assert.equal((await handler(new Request(`https://proxy.example${path}`))).status, status, path);
  }
  assert.deepEqual(asked, []);
});

test("what a page could run or show is bytes", async (t) => {
  const registry = await servers.startRegistry(t);
  const blob = await serve(registry.host).ask(`/v2/demo/app/blobs/${BLOB_DIGEST}`);
  assert.equal(blob.headers.get("content-type"), "application/octet-stream");
  assert.match(blob.headers.get("content-security-policy"), /sandbox/);
  for (const [type, passed] of [
    ["text/html", "application/octet-stream"],
    ["text/javascript", "application/octet-stream"],
    ["image/svg+xml", "application/octet-stream"],
    ["text/html; application/json", "application/octet-stream"],
    ["application/json; charset=utf-8", "application/json; charset=utf-8"],
    ["text/plain", "text/plain"],
    [
      "application/vnd.docker.distribution.manifest.list.v2+json",
      "application/vnd.docker.distribution.manifest.list.v2+json",
    ],
  ]) {
    const fetch = async () => new Response("x", { headers: { "content-type": type } });
    const response = await serve("registry.example", { fetch }).ask("/v2/a/manifests/b");
    assert.equal(response.headers.get("content-type"), passed);
  }
});

test("pages of tags link within the proxy", async () => {
  for (const [link, passed] of [
    ['</v2/a/tags/list?n=2&last=b>; rel="next"', '<?n=2&last=b>; rel="next"'],
    ["<https://registry.example/v2/a/tags/list?last=b>; rel=next", '<?last=b>; rel="next"'],
    ['<?last=c>; rel="next"', '<?last=c>; rel="next"'],
    ['</v2/b/tags/list?last=b>; rel="next"', null],
    ['<https://evil.example/v2/a/tags/list?last=b>; rel="next"', null],
    ['<http://[>; rel="next"', null],
    ['</v2/a/tags/list?last=b>; rel="prev"', null],
  ]) {
    const asked = [];
    const fetch = async (url) => (asked.push(url.href), new Response("{}", { headers: { link } }));
    const response = await serve("registry.example", { fetch }).ask("/v2/a/tags/list?n=2&last=a");
    assert.equal(response.headers.get("link"), passed, link);
    assert.deepEqual(asked, ["https://registry.example/v2/a/tags/list?n=2&last=a"]);
  }
});

test("long addresses and headers are refused", async (t) => {
  const registry = await servers.startRegistry(t);
  const { ask } = serve(registry.host);
  assert.equal((await ask(`/v2/demo/app/tags/list?last=${"a".repeat(9000)}`)).status, 414);
  const long = await ask("/v2/", { headers: { authorization: `Bearer ${"a".repeat(40_000)}` } });
  assert.equal(long.status, 431);
  assert.equal(await codeOf(long), "SIZE_INVALID");
  assert.equal(registry.requests.length, 0);
});

test("options that cannot be meant are refused", () => {
  for (const registries of [
    [],
    ["https://ghcr.io"],
    ["ghcr.io/org"],
    ["user@ghcr.io"],
    [""],
    [{ host: "a.example", origin: "ftp://a" }],
    [{ host: "a.example", origin: "https://a/path" }],
    [{ host: "a.example", trusted: ["minio:9000"] }],
  ]) {
    assert.throws(() => createProxy({ registries }), TypeError, JSON.stringify(registries));
  }
});

test("the hook writes the registry's address as a path, once", () => {
  const hook = proxied("https://app.example/oci/");
  for (const [url, rewritten] of [
    [
      "https://ghcr.io/v2/a/tags/list?n=1&last=%2F#x",
      "https://app.example/oci/https/ghcr.io/v2/a/tags/list?n=1&last=%2F",
    ],
    ["http://localhost:5000/v2/", "https://app.example/oci/http/localhost:5000/v2/"],
    ["http://[::1]:5000/v2/", "https://app.example/oci/http/[::1]:5000/v2/"],
    [
      "https://ghcr.io/token/v2/a/blobs/sha256:ab?service=s",
      "https://app.example/oci/https/ghcr.io/token/v2/a/blobs/sha256:ab?service=s",
    ],
    ["https://app.example/oci/https/ghcr.io/v2/", "https://app.example/oci/https/ghcr.io/v2/"],
  ]) {
    const given = new URL(url);
    assert.equal(hook(given).href, rewritten);
    assert.equal(given.href, url);
  }
  assert.equal(
    proxied("http://localhost:8080")(new URL("https://a.example/v2/")).href,
    "http://localhost:8080/https/a.example/v2/",
  );
});
