import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import test from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createProxy, proxied } from "../dist/proxy.js";
import { listener } from "../examples/proxy/server.mjs";
import * as servers from "./proxy/servers.mjs";

const { BLOB, BLOB_DIGEST, MANIFEST, MANIFEST_DIGEST, MANIFEST_TYPE, TOKEN } = servers;
const PROXY = "https://proxy.example/oci";
const PAGE = "https://app.example";
const BASIC = `Basic ${Buffer.from("ann:open sesame").toString("base64")}`;

/** Makes a proxy for one registry, and a function that asks it as a page would. */
function serve(registry, options = {}) {
  const handler = createProxy({ registries: [registry], allowOrigins: [PAGE], path: "/oci", ...options });
  const host = typeof registry === "string" ? registry : registry.host;
  const ask = (path, { headers = {}, ...init } = {}) =>
    handler(new Request(`${PROXY}/${host}${path}`, { headers: { origin: PAGE, ...headers }, duplex: "half", ...init }));
  return { handler, ask };
}

async function codeOf(response) {
  assert.equal(response.headers.get("content-type"), "application/json");
  const { errors } = await response.json();
  assert.equal(errors.length, 1);
  assert.equal(typeof errors[0].message, "string");
  return errors[0].code;
}

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
    [(origin) => origin.endsWith(".preview.example"), { origin: "https://1.preview.example" }, 200, "https://1.preview.example"],
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
    "", "/", "/v1/_ping", "/v2/_catalog", "/v2/demo/app/blobs/uploads/", "/v2/demo/app/blobs/uploads/1",
    "/v2/demo/app/blobs/latest", "/v2/demo/app/tags/other", "/v2/tags/list", "/v2/Demo/app/tags/list",
    "/v2/demo//tags/list", "/v2/demo/app/manifests/", "/v2/demo/app/manifests/a%2fb", "/v2/demo%2f..%2fapp/tags/list",
    "/v2/demo/app/manifests/%", "/v2/demo/app/constructor/x", "/metrics", "/v2/../metrics", "/token", "/token/metrics",
    "/v2/demo/app/manifests/1.0/extra", `/v2/${"a/".repeat(128)}a/tags/list`, "/v2/demo/app/referrers/latest",
  ]) {
    const response = await ask(path);
    assert.equal(response.status, 404, path);
    assert.equal(await codeOf(response), "NAME_INVALID", path);
  }
  assert.equal(registry.requests.length, 0);
  for (const path of [
    "/v2", "/v2/", "/v2/demo/app/manifests/1.0", `/v2/demo/app/manifests/${MANIFEST_DIGEST}`,
    `/v2/demo/app/blobs/${encodeURIComponent(BLOB_DIGEST)}`, "/v2/demo/app/tags/list", "/v2/a/blobs/b/tags/list",
    `/v2/demo/app/referrers/${BLOB_DIGEST}`, "/v2/a__b/c-d.e/tags/list",
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
    ["/evil.example/v2/", 403], ["/registry.example:8443/v2/", 403], ["/registry.example.evil/v2/", 403],
    ["/10.0.0.5:5000/v2/", 403], ["/169.254.169.254/v2/", 403], ["/http/169.254.169.254/v2/", 403],
    ["/ftp/registry.example/v2/", 404], ["/user@registry.example/v2/", 404], ["/registry.example%2f@evil/v2/", 404],
    ["/registry.example%3fx/v2/", 404], ["//v2/", 404],
  ]) {
    assert.equal((await handler(new Request(`https://proxy.example${path}`))).status, status, path);
  }
  assert.deepEqual(asked, []);
});

test("the realm becomes the proxy's token endpoint, in the terms of the request", async (t) => {
  const issuer = await servers.startIssuer(t);
  const registry = await servers.startRegistry(t, { issuer });
  const { handler } = serve(registry.host);
  const path = "/v2/demo/app/manifests/1.0";
  for (const [base, realm] of [
    [registry.host, `${PROXY}/${registry.host}/token${path}`],
    [`http/${registry.host}`, `${registry.origin}/token${path}`],
    [`https/${registry.host}`, `https://${registry.host}/token${path}`],
  ]) {
    const response = await handler(new Request(`${PROXY}/${base}${path}`, { headers: { origin: PAGE } }));
    assert.equal(response.status, 401);
    const challenge = `Bearer realm="${realm}",service="registry",scope="repository:demo/app:pull"`;
    assert.equal(response.headers.get("www-authenticate"), challenge);
  }
});

test("a page gets a token by GET and by POST, and reads with it", async (t) => {
  const issuer = await servers.startIssuer(t);
  const registry = await servers.startRegistry(t, { issuer });
  const { ask } = serve(registry.host);
  const query = "?service=registry&scope=repository%3Ademo%2Fapp%3Apull&client_id=x&url=http%3A%2F%2Fevil.example";
  const path = "/token/v2/demo/app/manifests/1.0";
  const granted = await ask(path + query, { headers: { authorization: BASIC, cookie: "a=b" } });
  assert.equal(granted.status, 200);
  assert.equal(granted.headers.get("content-type"), "application/json");
  assert.equal(granted.headers.get("set-cookie"), null);
  assert.equal(granted.headers.get("access-control-allow-origin"), PAGE);
  assert.equal((await granted.json()).token, TOKEN);
  const [seen] = issuer.requests;
  assert.equal(seen.url, "/token?service=registry&scope=repository%3Ademo%2Fapp%3Apull&client_id=x");
  assert.equal(seen.headers.authorization, BASIC);
  assert.equal(seen.headers.cookie, undefined);
  assert.equal(registry.requests[0].headers.authorization, undefined, "the password is not for the registry");

  const form = "grant_type=refresh_token&refresh_token=identity&service=registry";
  const type = { "content-type": "application/x-www-form-urlencoded" };
  const posted = await ask(path, { method: "POST", headers: type, body: form });
  assert.equal((await posted.json()).token, TOKEN);
  assert.equal(issuer.requests[1].body, form);

  const read = await ask("/v2/demo/app/manifests/1.0", { headers: { authorization: `Bearer ${TOKEN}` } });
  assert.equal(read.status, 200);

  const wrong = await ask(path, { headers: { authorization: "Basic d3Jvbmc=" } });
  assert.equal(wrong.status, 401);
  assert.equal(wrong.headers.get("www-authenticate"), null);

  const json = await ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  assert.equal(json.status, 415);
  const long = await ask(path, { method: "POST", headers: type, body: `a=${"b".repeat(70_000)}` });
  assert.equal(await codeOf(long), "SIZE_INVALID");
  assert.equal((await ask(path, { method: "PUT", headers: type, body: form })).status, 405);
  assert.equal(issuer.requests.length, 3);
});

test("a token is asked for nowhere but at a realm that the registry names", async (t) => {
  const issuer = await servers.startIssuer(t);
  const open = await servers.startRegistry(t);
  const none = await serve(open.host).ask(`/token/v2/demo/app/manifests/1.0?realm=${issuer.origin}`);
  assert.equal(none.status, 404);
  assert.equal(await codeOf(none), "REALM_REFUSED");

  // The one that a redirect leads to does not speak for the registry.
  const realm = `Bearer realm="${issuer.origin}/token"`;
  const other = await servers.start(t, () => ({ status: 401, headers: { "www-authenticate": realm } }));
  const leading = await servers.start(t, () => ({ status: 307, headers: { location: `${other.origin}/x` } }));
  const { ask } = serve(leading.host);
  assert.equal(await codeOf(await ask("/token/v2/demo/app/manifests/1.0", { headers: { authorization: BASIC } })), "REALM_REFUSED");
  const read = await ask("/v2/demo/app/manifests/1.0");
  assert.equal(read.status, 403);
  assert.equal(read.headers.get("www-authenticate"), null);
  assert.equal(issuer.requests.length, 0);

  const busy = await servers.start(t, () => ({ status: 429, headers: { "retry-after": "7" } }));
  const paused = await serve(busy.host).ask("/token/v2/");
  assert.equal(paused.status, 429);
  assert.equal(paused.headers.get("retry-after"), "7");
});

/** Where no public registry may lead: by a redirect, or by its realm. */
const HOSTILE = [
  "http://auth.example/token", "http://registry.example/token", "http://127.0.0.1/x", "https://127.0.0.1/x",
  "https://localhost/x", "https://a.localhost./x", "https://2130706433/x", "https://0x7f.1/x", "https://127。0。0。1/x",
  "https://[::1]/x", "https://[::ffff:127.0.0.1]/x", "https://[64:ff9b::7f00:1]/x", "https://[2002:7f00:1::]/x",
  "http://169.254.169.254/latest/meta-data", "https://169.254.169.254/x", "https://[fe80::1]/x",
  "https://[fd00:ec2::254]/x", "https://100.100.100.200/x", "https://10.0.0.1/x", "https://172.16.0.1/x",
  "https://192.168.1.1/x", "https://100.64.0.1/x", "https://[fc00::1]/x", "https://0.0.0.0/x", "https://[::]/x",
  "https://224.0.0.1/x", "https://255.255.255.255/x", "https://user:pass@cdn.example/x", "file:///etc/passwd",
  "ftp://cdn.example/x", "https://", "http://[",
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

test("credentials do not come back with a redirect home", async (t) => {
  let home;
  const storage = await servers.start(t, () => ({ status: 302, headers: { location: `${home}/v2/demo/app/manifests/2.0` } }));
  const registry = await servers.start(t, ({ url }) =>
    url.endsWith("/1.0") ? { status: 302, headers: { location: `${storage.origin}/x` } } : { body: "{}" });
  home = registry.origin;
  const response = await serve(registry.host).ask("/v2/demo/app/manifests/1.0", { headers: { authorization: BASIC } });
  assert.equal(response.status, 200);
  assert.deepEqual(registry.requests.map(({ headers }) => headers.authorization), [BASIC, undefined]);
});

test("a form with secrets is redirected nowhere", async (t) => {
  const thief = await servers.start(t, () => ({ body: "{}" }));
  const issuer = await servers.start(t, () => ({ status: 307, headers: { location: `${thief.origin}/x` } }));
  const registry = await servers.startRegistry(t, { issuer });
  const { ask } = serve(registry.host);
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const posted = await ask("/token/v2/demo/app/manifests/1.0", { method: "POST", headers, body: "refresh_token=identity" });
  assert.equal(await codeOf(posted), "REDIRECT_REFUSED");
  assert.equal(thief.requests.length, 0);
  await ask("/token/v2/demo/app/manifests/1.0", { headers: { authorization: BASIC } });
  assert.equal(issuer.requests[1].headers.authorization, BASIC);
  assert.equal(thief.requests[0].headers.authorization, undefined);
});

test("a loop of redirects ends", async (t) => {
  const registry = await servers.start(t, ({ url }) => ({ status: 302, headers: { location: url } }));
  const response = await serve(registry.host).ask("/v2/demo/app/manifests/1.0");
  assert.equal(response.status, 502);
  assert.equal(await codeOf(response), "REDIRECT_REFUSED");
  assert.equal(registry.requests.length, 6);
});

test("what a page could run or show is bytes", async (t) => {
  const registry = await servers.startRegistry(t);
  const blob = await serve(registry.host).ask(`/v2/demo/app/blobs/${BLOB_DIGEST}`);
  assert.equal(blob.headers.get("content-type"), "application/octet-stream");
  assert.match(blob.headers.get("content-security-policy"), /sandbox/);
  for (const [type, passed] of [
    ["text/html", "application/octet-stream"], ["text/javascript", "application/octet-stream"],
    ["image/svg+xml", "application/octet-stream"], ["text/html; application/json", "application/octet-stream"],
    ["application/json; charset=utf-8", "application/json; charset=utf-8"], ["text/plain", "text/plain"],
    ["application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json"],
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

test("challenges that a client can take are passed, others dropped", async () => {
  const base = `${PROXY}/registry.example/token/v2/a/tags/list`;
  for (const [value, passed] of [
    ['Basic realm="The \\"R\\""', 'Basic realm="The \\"R\\""'],
    ['Negotiate, Basic realm="r"', 'Basic realm="r"'],
    ["NTLM", null],
    ['Basic realm="first", realm="second"', 'Basic realm="first"'],
    ['Bearer service="s"', null],
    ['BEARER Realm="https://auth.example/t" , Scope = "a b"', `Bearer realm="${base}",scope="a b"`],
    ['Negotiate abc==, Bearer realm=https://auth.example/t', `Bearer realm="${base}"`],
    [`Bearer realm="https://auth.example/${"a".repeat(9000)}"`, null],
  ]) {
    const fetch = async () => new Response("{}", { status: 401, headers: { "www-authenticate": value } });
    const response = await serve("registry.example", { fetch }).ask("/v2/a/tags/list");
    assert.equal(response.status, 401);
    assert.equal(response.headers.get("www-authenticate"), passed, value);
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
  const { gzipSync } = await import("node:zlib");
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

test("the proxy's own credential opens a registry, and the page sees none of it", async (t) => {
  for (const auth of [{ username: "ann", password: "open sesame" }, { identityToken: "identity" }, { registryToken: TOKEN }]) {
    const issuer = await servers.startIssuer(t);
    const registry = await servers.startRegistry(t, { issuer });
    const { ask } = serve({ host: registry.host, auth });
    for (let round = 0; round < 3; round += 1) {
      const response = await ask("/v2/demo/app/manifests/1.0");
      assert.equal(response.status, 200, Object.keys(auth)[0]);
      assert.doesNotMatch(JSON.stringify([...response.headers]), /sesame|identity|the-token/);
      await response.arrayBuffer();
    }
    assert.equal(issuer.requests.length, "registryToken" in auth ? 0 : 1, "the token is used again");
    const asked = issuer.requests.map(({ url, body }) => `${url} ${body}`).join();
    if ("username" in auth) assert.match(asked, /service=registry&scope=repository%3Ademo%2Fapp%3Apull/);
    const own = await ask("/v2/demo/app/manifests/1.0", { headers: { authorization: "Bearer wrong" } });
    assert.equal(own.status, 401, "a page's own credential is its own");
  }
  const issuer = await servers.startIssuer(t);
  const registry = await servers.startRegistry(t, { issuer });
  const { ask } = serve({ host: registry.host, auth: { username: "ann", password: "wrong" } });
  assert.equal(await codeOf(await ask("/v2/demo/app/manifests/1.0")), "DENIED");
});

test("the proxy's own password answers Basic, and only the registry", async (t) => {
  const other = await servers.start(t, () => ({ status: 401, headers: { "www-authenticate": "Basic" } }));
  const registry = await servers.start(t, ({ url, headers }) => {
    if (headers.authorization !== BASIC) return { status: 401, headers: { "www-authenticate": 'Basic realm="r"' } };
    return url.endsWith("/list") ? { body: "{}" } : { status: 302, headers: { location: `${other.origin}/x` } };
  });
  const { ask } = serve({ host: registry.host, auth: { username: "ann", password: "open sesame" } });
  assert.equal((await ask("/v2/demo/app/tags/list")).status, 200);
  assert.equal((await ask("/v2/demo/app/manifests/1.0")).status, 403);
  assert.deepEqual(other.requests.map(({ headers }) => headers.authorization), [undefined]);
});

test("options that cannot be meant are refused", () => {
  for (const registries of [[], ["https://ghcr.io"], ["ghcr.io/org"], ["user@ghcr.io"], [""], [{ host: "a.example", origin: "ftp://a" }],
    [{ host: "a.example", origin: "https://a/path" }], [{ host: "a.example", trusted: ["minio:9000"] }]]) {
    assert.throws(() => createProxy({ registries }), TypeError, JSON.stringify(registries));
  }
});

test("the hook writes the registry's address as a path, once", () => {
  const hook = proxied("https://app.example/oci/");
  for (const [url, rewritten] of [
    ["https://ghcr.io/v2/a/tags/list?n=1&last=%2F#x", "https://app.example/oci/https/ghcr.io/v2/a/tags/list?n=1&last=%2F"],
    ["http://localhost:5000/v2/", "https://app.example/oci/http/localhost:5000/v2/"],
    ["http://[::1]:5000/v2/", "https://app.example/oci/http/[::1]:5000/v2/"],
    ["https://ghcr.io/token/v2/a/blobs/sha256:ab?service=s", "https://app.example/oci/https/ghcr.io/token/v2/a/blobs/sha256:ab?service=s"],
    ["https://app.example/oci/https/ghcr.io/v2/", "https://app.example/oci/https/ghcr.io/v2/"],
  ]) {
    const given = new URL(url);
    assert.equal(hook(given).href, rewritten);
    assert.equal(given.href, url);
  }
  assert.equal(proxied("http://localhost:8080")(new URL("https://a.example/v2/")).href, "http://localhost:8080/https/a.example/v2/");
});

test("hook, proxy and server lead through a whole exchange", async (t) => {
  const issuer = await servers.startIssuer(t);
  const storage = await servers.startStorage(t);
  const registry = await servers.startRegistry(t, { issuer, storage });
  const { origin } = await overHttp(t, createProxy({ registries: [registry.host], path: "/oci" }));
  const hook = proxied(`${origin}/oci`);
  const blob = new URL(`${registry.origin}/v2/demo/app/blobs/${BLOB_DIGEST}`);
  const refused = await fetch(hook(blob));
  const [, realm, service, scope] = /realm="(.*?)",service="(.*?)",scope="(.*?)"/.exec(refused.headers.get("www-authenticate"));
  assert.equal(new URL(realm).origin, registry.origin, "the registry's own, as the client sees it");
  const form = new URLSearchParams({ grant_type: "refresh_token", refresh_token: "identity", service, scope });
  const { token } = await (await fetch(hook(new URL(realm)), { method: "POST", body: form })).json();
  const headers = { authorization: `Bearer ${token}`, range: "bytes=5-" };
  const part = await fetch(hook(blob), { headers });
  assert.equal(part.status, 206);
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), BLOB.subarray(5));
});

async function overHttp(t, handler) {
  const server = createServer(listener(handler));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${server.address().port}` };
}

function deferred() {
  let resolve;
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

async function withDeadline(promise, what) {
  const late = pause(5000, "late", { ref: false });
  assert.notEqual(await Promise.race([promise, late]), "late", what);
}
