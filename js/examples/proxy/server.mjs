// Serves the proxy with Node, below /oci: node server.mjs 8080
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { createProxy } from "oci-fetcher/proxy";

/** Makes a listener of node:http of a handler of web-standard requests. */
export function listener(handler) {
  return async (incoming, outgoing) => {
    const left = new AbortController();
    outgoing.once("close", () => left.abort());
    try {
      const { method, headers } = incoming;
      const body = method === "GET" || method === "HEAD" ? null : Readable.toWeb(incoming);
      const url = `http://${headers.host}${incoming.url}`;
      const response = await handler(new Request(url, { method, headers, body, duplex: "half", signal: left.signal }));
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      if (response.body === null || method === "HEAD") outgoing.end();
      else await pipeline(Readable.fromWeb(response.body), outgoing);
    } catch {
      // A request that is none, or one of the two sides has gone.
      outgoing.destroy();
    }
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const proxy = createProxy({
    registries: ["docker.io", "ghcr.io", "quay.io"],
    allowOrigins: ["http://localhost:5173"],
    path: "/oci",
  });
  createServer(listener(proxy)).listen(Number(process.argv[2] ?? 8080), "127.0.0.1");
}
