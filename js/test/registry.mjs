// A small registry on loopback: manifests and blobs, Range, token authentication, and faults on demand.
import { createServer } from "node:http";
import { digestOf } from "./image.mjs";

/**
 * Starts a registry.
 *
 * `options.login` (`{ username, password }`) asks for tokens. `registry.fault` is called with each
 * request's method and path, and may return what goes wrong: `{ status, headers }`, `{ flip }` (one byte of
 * the body differs), `{ cut }` (the connection breaks after so many bytes), `{ stallAfter }` (nothing more
 * comes after so many bytes), `{ stall }` (nothing comes).
 */
export async function startRegistry(options = {}) {
  const registry = new Registry(options);
  await new Promise((resolve) => registry.server.listen(0, "127.0.0.1", resolve));
  registry.host = `127.0.0.1:${registry.server.address().port}`;
  return registry;
}

class Registry {
  constructor({ login }) {
    this.login = login;
    this.blobs = new Map();
    this.manifests = new Map();
    this.requests = [];
    this.fault = () => undefined;
    this.tokens = 0;
    this.server = createServer((request, response) => this.answer(request, response));
  }

  /** Serves an image or index under a repository's tag; returns the reference. */
  serve(name, { type, bytes, blobs, below }) {
    const [repository, tag] = name.split(":");
    for (const key of [tag, digestOf(bytes)]) this.manifests.set(`${repository}/${key}`, { type, bytes });
    for (const one of below) this.manifests.set(`${repository}/${digestOf(one.bytes)}`, one);
    for (const blob of blobs) this.blobs.set(digestOf(blob), blob);
    return `${this.host}/${name}`;
  }

  /** Counts the requests whose method and path match. */
  count(pattern) {
    return this.requests.filter((request) => pattern.test(request)).length;
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  answer(request, response) {
    const url = new URL(request.url, `http://${this.host}`);
    const line = `${request.method} ${url.pathname}`;
    this.requests.push(line);
    const fault = this.fault(line, this.requests.filter((other) => other === line).length, request) ?? {};
    if (fault.stall) return;
    if (fault.status !== undefined) return this.send(request, response, fault.status, fault.headers ?? {}, fault.body ?? "");
    if (url.pathname === "/token") return this.token(request, response);
    if (this.login !== undefined && request.headers.authorization !== "Bearer good-token") {
      const challenge = `Bearer realm="http://${this.host}/token",service="test",scope="repository:any:pull"`;
      return this.send(request, response, 401, { "www-authenticate": challenge }, "");
    }
    const match = /^\/v2\/(.+)\/(manifests|blobs|tags)\/([^/]+)$/.exec(url.pathname);
    if (match === null) return this.send(request, response, url.pathname === "/v2/" ? 200 : 404, {}, "");
    const [, repository, kind, name] = match;
    if (kind === "tags") return this.tags(request, response, repository);
    const found =
      kind === "blobs"
        ? { type: "application/octet-stream", bytes: this.blobs.get(name) }
        : this.manifests.get(`${repository}/${name}`);
    if (found?.bytes === undefined) return this.send(request, response, 404, {}, '{"errors":[{"code":"NOT_FOUND"}]}');
    this.body(request, response, found, fault);
  }

  body(request, response, { type, bytes }, fault) {
    const headers = { "content-type": type };
    if (type !== "application/octet-stream") headers["docker-content-digest"] = digestOf(bytes);
    let [status, body] = [200, bytes];
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
    if (range !== null) {
      const start = Number(range[1]);
      [status, body] = [206, bytes.subarray(start)];
      headers["content-range"] = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
    }
    if (fault.flip) {
      body = Buffer.from(body);
      body[body.length >> 1] ^= 1;
    }
    const end = fault.cut ?? fault.stallAfter;
    if (end === undefined) return this.send(request, response, status, headers, body);
    response.writeHead(status, { ...headers, "content-length": body.length });
    response.write(body.subarray(0, end), () => fault.cut !== undefined && response.destroy());
  }

  tags(request, response, repository) {
    const names = [...this.manifests.keys()].filter((key) => key.startsWith(`${repository}/`));
    const tags = names.map((key) => key.slice(repository.length + 1)).filter((name) => !name.includes(":"));
    this.send(request, response, 200, { "content-type": "application/json" }, JSON.stringify({ name: repository, tags }));
  }

  token(request, response) {
    this.tokens += 1;
    const expected = `Basic ${Buffer.from(`${this.login?.username}:${this.login?.password}`).toString("base64")}`;
    if (request.headers.authorization !== expected) return this.send(request, response, 401, {}, "");
    this.send(request, response, 200, { "content-type": "application/json" }, '{"token":"good-token","expires_in":300}');
  }

  send(request, response, status, headers, body) {
    response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
    response.end(request.method === "HEAD" ? undefined : body);
  }
}
