// Serves the proxy of an installed package for one registry: proxy.mjs REGISTRY. Prints its address as a
// line of JSON, and ends when standard input does.
import { createServer } from "node:http";
import process from "node:process";
import { createProxy } from "oci-fetcher/proxy";
import { listener } from "./server.mjs";

const proxy = createProxy({ registries: [process.argv[2]], allowOrigins: "*", path: "/oci" });
const server = createServer(listener(proxy));
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${JSON.stringify({ address: `http://127.0.0.1:${server.address().port}/oci` })}\n`);
});
process.stdin.resume().once("end", () => process.exit(0));
