// How the proxy's tests ask it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { createProxy } from "../../dist/proxy.js";
import { listener } from "../../examples/proxy/server.mjs";

export const PROXY = "https://proxy.example/oci";
export const PAGE = "https://app.example";
export const BASIC = `Basic ${Buffer.from("ann:open sesame").toString("base64")}`;

/** Makes a proxy for one registry, and a function that asks it as a page would. */
export function serve(registry, options = {}) {
  const handler = createProxy({ registries: [registry], allowOrigins: [PAGE], path: "/oci", ...options });
  const host = typeof registry === "string" ? registry : registry.host;
  const ask = (path, { headers = {}, ...init } = {}) =>
    handler(new Request(`${PROXY}/${host}${path}`, { headers: { origin: PAGE, ...headers }, duplex: "half", ...init }));
  return { handler, ask };
}

export async function codeOf(response) {
  assert.equal(response.headers.get("content-type"), "application/json");
  const { errors } = await response.json();
  assert.equal(errors.length, 1);
  assert.equal(typeof errors[0].message, "string");
  return errors[0].code;
}

/** Serves a handler over HTTP, as the example does. */
export async function overHttp(t, handler) {
  const server = createServer(listener(handler));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${server.address().port}` };
}

export function deferred() {
  let resolve;
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

export async function withDeadline(promise, what) {
  const late = pause(5000, "late", { ref: false });
  assert.notEqual(await Promise.race([promise, late]), "late", what);
}
