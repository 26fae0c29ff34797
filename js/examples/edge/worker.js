// A Worker that fetches WebAssembly modules from a registry, verifies them, keeps them in the Cache
// API, and serves them: GET /ghcr.io/org/module:1
//
// With `?call=add&with=2&with=40` it calls a function of the module instead. Workers may not compile
// code from bytes, so this needs a loader binding (LOADER), which makes a Worker of its own of the
// module: with no network, no bindings, and no more memory than its own 128 MB. Without the binding
// the answer is 501.
//
// A module is held whole while it is verified, and once more while it is kept, so its size is bounded
// well below a Worker's memory. Nothing is compiled here but the package's own module, which is part of the deployment.
import { Client, OciError } from "oci-fetcher";

const client = new Client({ limits: { layerBytes: 32 * 1024 * 1024 } });

export default {
  async fetch(request, env, context) {
    if (request.method !== "GET") return Response.json({ error: "only GET" }, { status: 405 });
    const url = new URL(request.url);
    const reference = decodeURIComponent(url.pathname.slice(1));
    if (!allowed(reference, env)) return Response.json({ error: "this repository is not served" }, { status: 403 });
    try {
      const module = await moduleOf(reference, context);
      const name = url.searchParams.get("call");
      return name === null ? module : await call(module, name, url.searchParams.getAll("with").map(Number), env);
    } catch (error) {
      if (!(error instanceof OciError)) throw error;
      const status = STATUS[error.errorClass] ?? 502;
      return Response.json({ error: error.code, message: error.message }, { status });
    }
  },
};

/** Whether the reference, which needs a tag or a digest, is of a repository that REPOSITORIES lists. */
function allowed(reference, { REPOSITORIES = "" }) {
  const repositories = REPOSITORIES.split(" ").filter((name) => name !== "");
  return repositories.some((name) => [":", "@"].some((sign) => reference.startsWith(name + sign)));
}

/** Returns the module as a response, from the cache or from the registry. */
async function moduleOf(reference, context) {
  const key = new Request(`https://modules.invalid/${encodeURIComponent(reference)}`);
  const kept = await caches.default.match(key);
  if (kept !== undefined) return kept;
  const binary = await client.wasm(reference);
  // A digest always means the same bytes; a tag may move, so that it is looked up anew every minute.
  const age = reference.includes("@") ? 31_536_000 : 60;
  const headers = {
    "content-type": "application/wasm",
    "cache-control": `public, max-age=${age}`,
    etag: `"${binary.digest}"`,
    "x-wasm-kind": binary.kind,
  };
  const response = new Response(binary.bytes, { headers });
  context.waitUntil(caches.default.put(key, response.clone()));
  return response;
}

/** Calls a function of a module in a Worker of its own, which lives on for further calls. */
async function call(module, name, values, env) {
  if (env.LOADER === undefined) return Response.json({ error: "no loader binding" }, { status: 501 });
  if (module.headers.get("x-wasm-kind") !== "module") {
    return Response.json({ error: "a component needs another engine" }, { status: 501 });
  }
  const worker = env.LOADER.get(module.headers.get("etag"), async () => ({
    compatibilityDate: "2026-01-01",
    mainModule: "runner.js",
    modules: { "runner.js": RUNNER, "module.wasm": { wasm: await module.arrayBuffer() } },
    env: {},
    globalOutbound: null,
  }));
  const body = JSON.stringify({ name, values });
  return worker.getEntrypoint().fetch("https://runner.invalid/", { method: "POST", body });
}

const RUNNER = `
import module from "./module.wasm";

export default {
  async fetch(request) {
    const { name, values } = await request.json();
    try {
      const { exports } = await WebAssembly.instantiate(module, {});
      return Response.json({ result: exports[name](...values) });
    } catch (error) {
      return Response.json({ error: String(error) }, { status: 422 });
    }
  },
};
`;

/** What the classes of errors are in HTTP; a registry's own trouble is a bad gateway. */
const STATUS = { usage: 400, "not-found": 404, authentication: 403, refused: 403, unsupported: 415 };
