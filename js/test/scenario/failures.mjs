// What every runtime does when something is wrong: the right code, and nothing half visible.
import { check, equal, refused, text } from "./run.mjs";

/** By repository of the registry of faults: codes that are right, and their class. */
const FAULTS = {
  flipped: [["digest-mismatch", "malformed-gzip"], "integrity"],
  truncated: ["blob-short", "network"],
  "wrong-diff-id": ["diff-id-mismatch", "integrity"],
  "bad-checksum": ["tar-checksum", "integrity"],
  "other-platforms": ["platform-not-found", "not-found"],
  missing: [["image-not-found", "not-found"], "not-found"],
  unauthorized: ["denied", "authentication"],
  denied: ["denied", "authentication"],
  broken: ["status", "network"],
  outside: ["unsafe-name", "refused"],
  "link-outside": ["unsafe-name", "refused"],
  "link-missing": ["hard-link-to-missing", "refused"],
  encrypted: ["encrypted-layer", "unsupported"],
};

const QUICK = { attempts: 2, firstPause: 10, longestPause: 50, longestRetryAfter: 2000 };

const refusals = Object.entries(FAULTS).map(([repository, [code, errorClass]]) => [
  `refused: ${repository}`,
  async ({ oci, given }) => {
    const client = new oci.Client({ cache: false, retry: QUICK });
    const error = await refused(client.pull(`${given.faults}/${repository}:1`), code, errorClass, oci);
    check(error.message !== "" && error.exitCode > 1, "an error explains itself");
    client.close();
    return error.code;
  },
]);

export const failures = {
  ...Object.fromEntries(refusals),

  async "refused: a manifest that is not what its digest says"({ oci, given }) {
    const client = new oci.Client({ cache: false, retry: QUICK });
    const { digest } = await client.resolve(`${given.faults}/slow:1`);
    const pull = client.pull(`${given.faults}/flipped-manifest@${digest}`);
    await refused(pull, ["digest-mismatch", "size-mismatch"], "integrity", oci);
    client.close();
  },

  async "broken downloads go on where they stopped"({ oci, given }) {
    const events = [];
    const client = new oci.Client({ cache: false, retry: { ...QUICK, attempts: 4 } });
    const onProgress = (event) => events.push(event);
    const image = await client.pull(`${given.faults}/cut-twice:1`, { onProgress });
    equal((await image.files.read("noise")).length, 200_000);
    check(events.filter((event) => event.kind === "retry").length >= 2, "two cuts are two retries");
    image.close();
    client.close();
  },

  async "a busy registry is asked again when it says"({ oci, given }) {
    const client = new oci.Client({ cache: false, retry: QUICK });
    const image = await client.pull(`${given.faults}/busy-once:1`);
    equal(text(await image.files.read("etc/hostname")), "faulty\n");
    image.close();
    client.close();
  },

  async "a signal ends a pull at once"({ oci, given }) {
    const client = new oci.Client({ cache: false });
    const abort = new AbortController();
    const started = performance.now();
    const onProgress = (event) => event.kind === "downloaded" && setTimeout(() => abort.abort(new Error("enough")), 0);
    const pull = client.pull(`${given.faults}/slow:1`, { signal: abort.signal, onProgress });
    const error = await refused(pull, "aborted", "interrupted", oci);
    equal(error.cause?.message, "enough");
    const took = performance.now() - started;
    check(took < 5_000, `aborting took ${took} ms, as long as the slow download`);
    await refused(client.pull(`${given.open}/plain:1`, { signal: AbortSignal.abort() }), "aborted", "interrupted", oci);
    client.close();
  },

  async "offline, what is cached is there and what is not is told"({ oci, given }) {
    const cache = oci.memoryCache();
    const filling = new oci.Client({ cache });
    (await filling.pull(`${given.open}/plain:1`)).close();
    filling.close();
    const offline = new oci.Client({ cache, offline: true, fetch: () => Promise.reject(new Error("no network here")) });
    const image = await offline.pull(`${given.open}/plain:1`);
    equal(text(await image.files.read("hello")), "hello, world\n");
    image.close();
    await refused(offline.pull(`${given.open}/plain:2`), ["not-stored", "blob-not-stored"], "not-found", oci);
    offline.close();
  },

  async "a registry that cannot be reached is a network error"({ oci }) {
    const client = new oci.Client({ cache: false, retry: { ...QUICK, attempts: 1 } });
    await refused(client.pull("127.0.0.1:9/plain:1"), ["connect", "connection-broken", "cors"], "network", oci);
    client.close();
  },

  async "what is no reference is a usage error"({ oci }) {
    const client = new oci.Client();
    await refused(client.pull("UPPER CASE"), "malformed-reference", "usage", oci);
    client.close();
  },
};
