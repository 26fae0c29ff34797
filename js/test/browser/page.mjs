// A page on loopback in real Chromium, with the package served as it was compiled, and a registry of
// another origin that sends CORS headers.
import { createServer } from "node:http";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { startRegistry } from "../registry.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts a registry that any page may read. */
export async function startOpenRegistry() {
  const registry = await startRegistry();
  registry.server.removeAllListeners("request");
  registry.server.on("request", (request, response) => {
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("access-control-allow-headers", "*");
    // Without it a page cannot see what a partial answer holds, and downloads begin anew.
    response.setHeader("access-control-expose-headers", "content-range");
    if (request.method === "OPTIONS") response.writeHead(204).end();
    else registry.answer(request, response);
  });
  return registry;
}

/** Serves the package's folder; `/blank` is an empty page, `/strict` one that may not start Workers. */
export async function startPages() {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://page").pathname;
    if (path === "/favicon.ico") return response.writeHead(204).end();
    if (path === "/blank" || path === "/strict") {
      const policy = path === "/strict" ? { "content-security-policy": "worker-src 'none'" } : {};
      return response.writeHead(200, { "content-type": "text/html", ...policy }).end("<!doctype html><title>test</title>");
    }
    const file = join(ROOT, path.endsWith("/") ? `${path}index.html` : path);
    const bytes = file.startsWith(ROOT) ? await readFile(file).catch(() => undefined) : undefined;
    if (bytes === undefined) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(bytes);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://localhost:${server.address().port}`;
  return { origin, close: () => new Promise((resolve) => server.close(resolve).closeAllConnections()) };
}

/** Starts Chromium with a profile of its own: without one, its private file system is slower than it is for people. */
export async function startChromium() {
  const profile = await mkdtemp(join(tmpdir(), "chromium-"));
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const context = await chromium.launchPersistentContext(profile, { executablePath, args: FLAGS });
  return {
    context,
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

const TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};
