import assert from "node:assert/strict";
import test from "node:test";
import { BASIC, PAGE, PROXY, codeOf, serve } from "./proxy/ask.mjs";
import * as servers from "./proxy/servers.mjs";

const { TOKEN } = servers;

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
  assert.equal(
    await codeOf(await ask("/token/v2/demo/app/manifests/1.0", { headers: { authorization: BASIC } })),
    "REALM_REFUSED",
  );
  const read = await ask("/v2/demo/app/manifests/1.0");
  assert.equal(read.status, 403);
  assert.equal(read.headers.get("www-authenticate"), null);
  assert.equal(issuer.requests.length, 0);

  const busy = await servers.start(t, () => ({ status: 429, headers: { "retry-after": "7" } }));
  const paused = await serve(busy.host).ask("/token/v2/");
  assert.equal(paused.status, 429);
  assert.equal(paused.headers.get("retry-after"), "7");
});

test("credentials do not come back with a redirect home", async (t) => {
  let home;
  const storage = await servers.start(t, () => ({
    status: 302,
    headers: { location: `${home}/v2/demo/app/manifests/2.0` },
  }));
  const registry = await servers.start(t, ({ url }) =>
    url.endsWith("/1.0") ? { status: 302, headers: { location: `${storage.origin}/x` } } : { body: "{}" },
  );
  home = registry.origin;
  const response = await serve(registry.host).ask("/v2/demo/app/manifests/1.0", { headers: { authorization: BASIC } });
  assert.equal(response.status, 200);
  assert.deepEqual(
    registry.requests.map(({ headers }) => headers.authorization),
    [BASIC, undefined],
  );
});

test("a form with secrets is redirected nowhere", async (t) => {
  const thief = await servers.start(t, () => ({ body: "{}" }));
  const issuer = await servers.start(t, () => ({ status: 307, headers: { location: `${thief.origin}/x` } }));
  const registry = await servers.startRegistry(t, { issuer });
  const { ask } = serve(registry.host);
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const posted = await ask("/token/v2/demo/app/manifests/1.0", {
    method: "POST",
    headers,
    body: "refresh_token=identity",
  });
  assert.equal(await codeOf(posted), "REDIRECT_REFUSED");
  assert.equal(thief.requests.length, 0);
  await ask("/token/v2/demo/app/manifests/1.0", { headers: { authorization: BASIC } });
  assert.equal(issuer.requests[1].headers.authorization, BASIC);
  assert.equal(thief.requests[0].headers.authorization, undefined);
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
    ["Negotiate abc==, Bearer realm=https://auth.example/t", `Bearer realm="${base}"`],
    [`Bearer realm="https://auth.example/${"a".repeat(9000)}"`, null],
  ]) {
    const fetch = async () => new Response("{}", { status: 401, headers: { "www-authenticate": value } });
    const response = await serve("registry.example", { fetch }).ask("/v2/a/tags/list");
    assert.equal(response.status, 401);
    assert.equal(response.headers.get("www-authenticate"), passed, value);
  }
});

test("the proxy's own credential opens a registry, and the page sees none of it", async (t) => {
  for (const auth of [
    { username: "ann", password: "open sesame" },
    { identityToken: "identity" },
    { registryToken: TOKEN },
  ]) {
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
  assert.deepEqual(
    other.requests.map(({ headers }) => headers.authorization),
    [undefined],
  );
});
