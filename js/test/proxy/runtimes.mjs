// The proxy in the runtimes that are named, or in all: node test/proxy/runtimes.mjs deno bun workerd
//
// Needs them as npm packages (deno, bun, miniflare), and `npm run compile` before.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as servers from "./servers.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(here, "../../dist");
const RUN = `
import process from "node:process";
import { exchange } from "${here}/exchange.mjs";
await exchange(await import("${dist}/proxy.js"), JSON.parse(process.argv.at(-1)));
process.exit(0);
`;

const chosen = process.argv.length > 2 ? process.argv.slice(2) : ["node", "deno", "bun", "workerd"];
const closing = [];
const test = { after: (close) => closing.push(close) };
const issuer = await servers.startIssuer(test);
const storage = await servers.startStorage(test);
const registry = await servers.startRegistry(test, { issuer, storage });
let gone = () => {};
const endless = await servers.start(test, ({ outgoing }) => {
  const timer = setInterval(() => outgoing.write(Buffer.alloc(1 << 16)), 5);
  outgoing.writeHead(200).once("close", () => {
    clearInterval(timer);
    gone();
  });
  return "taken";
});
const given = {
  registry: registry.host,
  endless: endless.host,
  digest: servers.BLOB_DIGEST,
  length: servers.BLOB.length,
};

try {
  for (const runtime of chosen) {
    const left = new Promise((resolve, reject) => {
      gone = resolve;
      setTimeout(() => reject(new Error("the registry's connection stays open")), 30_000).unref();
    });
    await (runtime === "workerd" ? inWorkerd() : inProcess(runtime));
    await left;
    console.log(`ok - ${runtime}`);
  }
} finally {
  for (const close of closing) close();
}

async function inProcess(runtime) {
  const program = runtime === "node" ? process.execPath : path.join(here, "../node_modules/.bin", runtime);
  const options = { node: ["--input-type=module", "-e"], deno: ["eval"], bun: ["-e"] }[runtime];
  await promisify(execFile)(program, [...options, RUN, JSON.stringify(given)], { timeout: 60_000 });
}

async function inWorkerd() {
  const { Miniflare } = createRequire(import.meta.url)("miniflare");
  const names = ["proxy.js", ...readdirSync(path.join(dist, "proxy")).map((name) => `proxy/${name}`)];
  const module = (name, folder) => ({ type: "ESModule", path: name, contents: readFileSync(path.join(folder, name)) });
  const main = `
    import * as proxy from "./proxy.js";
    import { exchange } from "./exchange.mjs";
    export default {
      async fetch() {
        await exchange(proxy, ${JSON.stringify(given)});
        return new Response("done");
      },
    };`;
  const miniflare = new Miniflare({
    modules: [
      { type: "ESModule", path: "main.js", contents: main },
      module("exchange.mjs", here),
      ...names.filter((name) => name.endsWith(".js")).map((name) => module(name, dist)),
    ],
    compatibilityDate: "2026-01-01",
    compatibilityFlags: ["nodejs_compat"],
  });
  try {
    assert.equal(await (await miniflare.dispatchFetch("http://worker.example/")).text(), "done");
  } finally {
    await miniflare.dispose();
  }
}
