import assert from "node:assert/strict";

/** Leads one exchange through the proxy, with what every runtime must do alike. */
export async function exchange({ createProxy, proxied }, { registry, endless, digest, length }) {
  const origin = "https://app.example";
  const handler = createProxy({ registries: [registry, endless], allowOrigins: [origin], path: "/oci" });
  const hook = proxied("https://proxy.example/oci");
  const ask = (url, { headers = {}, ...init } = {}) =>
    handler(new Request(hook(new URL(url)).href, { headers: { origin, ...headers }, ...init }));

  const blob = `http://${registry}/v2/demo/app/blobs/${digest}`;
  const refused = await ask(blob);
  assert.equal(refused.status, 401);
  const [, realm] = /realm="(.*?)"/.exec(refused.headers.get("www-authenticate"));
  const form = new URLSearchParams({ grant_type: "refresh_token", refresh_token: "identity" });
  const { token } = await (await ask(realm, { method: "POST", body: form })).json();
  const authorization = `Bearer ${token}`;

  const part = await ask(blob, { headers: { authorization, range: "bytes=5-" } });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get("access-control-allow-origin"), origin);
  assert.equal(part.headers.get("set-cookie"), null);
  assert.equal((await part.arrayBuffer()).byteLength, length - 5);
  const head = await ask(`http://${registry}/v2/demo/app/manifests/1.0`, {
    method: "HEAD",
    headers: { authorization },
  });
  assert.equal(head.status, 200);
  assert.notEqual(head.headers.get("content-length"), null);

  assert.equal((await ask(blob, { method: "OPTIONS" })).status, 204);
  assert.equal((await ask(blob, { method: "DELETE" })).status, 405);
  assert.equal((await ask("https://evil.example/v2/")).status, 403);

  const stream = (await ask(`http://${endless}/v2/demo/app/blobs/${digest}`)).body.getReader();
  await stream.read();
  await stream.cancel();
}
