// Servers on loopback for the proxy's tests: a registry without CORS, its issuer of tokens, its storage.
import { createServer } from "node:http";
import { once } from "node:events";
import { createHash } from "node:crypto";

/** Starts a server; `routes(request)` answers or returns undefined for 404. All requests are recorded. */
export async function start(test, handler) {
  const requests = [];
  const server = createServer(async (incoming, outgoing) => {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const seen = {
      method: incoming.method,
      url: incoming.url,
      headers: incoming.headers,
      body: Buffer.concat(chunks).toString(),
      outgoing,
    };
    requests.push(seen);
    const answer = await handler(seen);
    if (answer === undefined) return void outgoing.writeHead(404).end("{}");
    if (answer === "taken") return;
    outgoing.writeHead(answer.status ?? 200, answer.headers ?? {});
    outgoing.end(incoming.method === "HEAD" ? undefined : answer.body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address();
  return { host: `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}`, requests };
}

export const MANIFEST = Buffer.from('{ "schemaVersion": 2,  "layers": [] }');
export const MANIFEST_DIGEST = `sha256:${createHash("sha256").update(MANIFEST).digest("hex")}`;
export const BLOB = Buffer.from("a blob that is long enough for a range");
export const BLOB_DIGEST = `sha256:${createHash("sha256").update(BLOB).digest("hex")}`;
export const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";

/** A registry with one image, `demo/app`; with an issuer, only for who bears its token. */
export function startRegistry(test, options = {}) {
  return start(test, (request) => {
    const { issuer, storage } = options;
    const scope = 'service="registry",scope="repository:demo/app:pull"';
    if (issuer !== undefined && request.headers.authorization !== `Bearer ${TOKEN}`) {
      const realm = typeof issuer === "string" ? issuer : `${issuer.origin}/token`;
      return { status: 401, headers: { "www-authenticate": `Bearer realm="${realm}",${scope}` }, body: "{}" };
    }
    if (request.url === "/v2/") return { body: "{}" };
    if (request.url.startsWith("/v2/demo/app/manifests/")) {
      const headers = {
        "content-type": MANIFEST_TYPE,
        "content-length": MANIFEST.length,
        "docker-content-digest": MANIFEST_DIGEST,
        "set-cookie": "session=secret",
        "x-internal": "secret",
        "access-control-allow-origin": "https://only.example",
        warning: '299 - "old"',
      };
      return { headers, body: MANIFEST };
    }
    if (request.url === `/v2/demo/app/blobs/${BLOB_DIGEST}`) {
      if (storage !== undefined) return { status: 307, headers: { location: `${storage.origin}/blob?signature=s` } };
      return ranged(request, { "content-type": "text/html" });
    }
    return undefined;
  });
}

export const TOKEN = "the-token";

/** An issuer that knows one account, by password and by identity token. */
export function startIssuer(test) {
  return start(test, ({ method, headers, body }) => {
    const basic = headers.authorization === `Basic ${Buffer.from("ann:open sesame").toString("base64")}`;
    const identity = method === "POST" && new URLSearchParams(body).get("refresh_token") === "identity";
    if (!basic && !identity) return { status: 401, headers: { "www-authenticate": "Negotiate" }, body: "{}" };
    const answer = { token: TOKEN, expires_in: 300 };
    return { headers: { "content-type": "text/html", "set-cookie": "a=b" }, body: JSON.stringify(answer) };
  });
}

/** A blob storage that wants no credentials, as presigned addresses do. */
export function startStorage(test) {
  return start(test, (request) => {
    if (request.headers.authorization !== undefined) return { status: 400, body: "two ways to authenticate" };
    return ranged(request, { "set-cookie": "a=b" });
  });
}

/** Answers with the blob, or the part that is asked for. */
export function ranged({ headers }, fields) {
  const from = /^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1];
  if (from === undefined) return { headers: { ...fields, "content-length": BLOB.length }, body: BLOB };
  const part = BLOB.subarray(Number(from));
  const range = `bytes ${from}-${BLOB.length - 1}/${BLOB.length}`;
  return { status: 206, headers: { ...fields, "content-range": range, "content-length": part.length }, body: part };
}
