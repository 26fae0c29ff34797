import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createServer as createSocketServer } from "node:net";
import { after, before, test } from "node:test";
import { Http } from "../dist/http.js";

const never = new AbortController().signal;
let server;
let base;

before(async () => {
  server = createServer((request, response) => {
    const routes = {
      "/redirect": () => response.writeHead(307, { location: "/target" }).end(),
      "/headers": () => response.end(JSON.stringify(request.headers)),
      "/long": () => response.end(Buffer.alloc(1000)),
      "/silent": () => undefined,
      "/halting": () => response.writeHead(200, { "content-length": 10 }).write("abc"),
      "/cut": () => response.writeHead(200, { "content-length": 10 }).write("abc", () => response.destroy()),
    };
    (routes[request.url] ?? (() => response.writeHead(404).end()))();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${server.address().port}`;
});

after(() => {
  server.closeAllConnections();
  server.close();
});

function http(options = {}) {
  const { deadlines, ...rest } = options;
  return new Http({
    fetch: (input, init) => fetch(input, init),
    rewriteUrl: undefined,
    redirects: "manual",
    init: { credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer" },
    deadlines: { firstByte: 5_000, progress: 5_000, ...deadlines },
    ...rest,
  });
}

function get(path, options, headers = []) {
  return http(options).send({ method: "GET", url: `${base}${path}`, headers }, undefined, never);
}

test("redirects are shown, not followed", async () => {
  const { status, headers, body } = await get("/redirect");
  body.close();
  assert.equal(status, 307);
  assert.equal(new Map(headers).get("location"), "/target");
});

test("headers go out as the core made them, and no cookie or referrer with them", async () => {
  const { body } = await get("/headers", {}, [["accept", "a/b"], ["accept", "c/d"], ["accept-encoding", "identity"]]);
  const sent = JSON.parse(Buffer.concat(await body.whole(10_000)).toString());
  assert.equal(sent.accept, "a/b, c/d");
  assert.equal(sent["accept-encoding"], "identity");
  assert.match(sent["user-agent"], /^oci-fetcher\//);
  assert.equal(sent.cookie, undefined);
  assert.equal(sent.referer, undefined);
});

test("a rewritten address is the one that is asked", async () => {
  const answer = await http({ rewriteUrl: (url) => `${base}/headers?for=${url.host}` }).send(
    { method: "GET", url: "https://registry.invalid/v2/", headers: [] }, undefined, never,
  );
  answer.body.close();
  assert.equal(answer.status, 404);
});

test("a body longer than its limit is refused", async () => {
  const { body } = await get("/long");
  await assert.rejects(body.whole(999), { kind: "too-large" });
  assert.equal(Buffer.concat(await (await get("/long")).body.beginning(10)).length, 10);
});

test("deadlines end what does not answer or does not go on", async () => {
  await assert.rejects(get("/silent", { deadlines: { firstByte: 50 } }), { kind: "timed-out" });
  const { body } = await get("/halting", { deadlines: { progress: 50 } });
  assert.equal(Buffer.from(await body.chunk()).toString(), "abc");
  await assert.rejects(body.chunk(), { kind: "timed-out" });
});

test("a connection that breaks is told from one that never was", async () => {
  const { body } = await get("/cut");
  await assert.rejects(body.whole(100), { kind: "broken" });
  const nobody = await new Promise((resolve) => {
    const closed = createSocketServer().listen(0, "127.0.0.1", () => {
      const { port } = closed.address();
      closed.close(() => resolve(port));
    });
  });
  const send = (url) => http().send({ method: "GET", url, headers: [] }, undefined, never);
  await assert.rejects(send(`http://127.0.0.1:${nobody}/`), { kind: "connect" });
  await assert.rejects(send("http://name.invalid/"), { kind: "unknown-host" });
  await assert.rejects(send(base.replace("http:", "https:")), { kind: "plain-http" });
});

test("the caller's signal ends a request and a body", async () => {
  const stop = new AbortController();
  const waiting = http().send({ method: "GET", url: `${base}/silent`, headers: [] }, undefined, stop.signal);
  stop.abort("enough");
  await assert.rejects(waiting, { code: "aborted", cause: "enough" });
  const later = new AbortController();
  const { body } = await http().send({ method: "GET", url: `${base}/halting`, headers: [] }, undefined, later.signal);
  await body.chunk();
  const next = body.chunk();
  later.abort();
  await assert.rejects(next, { code: "aborted" });
});

test("a range that a page may not read is what was asked for", async () => {
  const request = { method: "GET", url: "https://registry.invalid/blob", headers: [["range", "bytes=7-"]] };
  const hiding = (type, status, headers) => async () => Object.defineProperty(new Response("abc", { status, headers }), "type", { value: type });
  const rangeOf = async (...answer) => {
    const { headers, body } = await http({ fetch: hiding(...answer), redirects: "follow" }).send(request, undefined, never);
    body.close();
    return new Map(headers).get("content-range");
  };
  assert.equal(await rangeOf("cors", 206, { "content-length": "3" }), "bytes 7-9/10");
  assert.equal(await rangeOf("cors", 206, { "content-length": "3", "content-range": "bytes 0-2/3" }), "bytes 0-2/3");
  assert.equal(await rangeOf("cors", 206, {}), undefined);
  assert.equal(await rangeOf("cors", 200, { "content-length": "3" }), undefined);
  assert.equal(await rangeOf("basic", 206, { "content-length": "3" }), undefined);
});

test("no message shows the query of an address", async () => {
  const failing = async (url) => {
    throw new TypeError(`error sending request for url (${url})`);
  };
  const url = "https://storage.invalid/blob?signature=secret&x=(y";
  const sending = http({ fetch: failing }).send({ method: "GET", url, headers: [] }, undefined, never);
  await assert.rejects(sending, ({ message }) => message.startsWith("error sending request for url (https://storage.invalid/blob") && !/secret/.test(message));
});

test("a page that is refused by CORS learns so", async () => {
  const refusing = async (url, init) => {
    if (init.mode === "no-cors") return new Response(null);
    throw new TypeError("Failed to fetch");
  };
  const request = { method: "GET", url: "https://registry.invalid/v2/", headers: [["accept-encoding", "identity"]] };
  await assert.rejects(http({ fetch: refusing, redirects: "follow" }).send(request, undefined, never), { code: "cors" });
  const offline = async () => {
    throw new TypeError("Failed to fetch");
  };
  await assert.rejects(http({ fetch: offline, redirects: "follow" }).send(request, undefined, never), { kind: "connect" });
});
