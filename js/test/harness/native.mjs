// What the native program makes of the same images.
import { createHash } from "node:crypto";
import path from "node:path";
import { native } from "./programs.mjs";
import { run } from "./run.mjs";

/** Runs the native program with an empty home in `folder`. */
export class Native {
  #folder;
  #count = 0;

  constructor(folder) {
    this.#folder = folder;
  }

  /** Its environment: no credentials, caches or proxies from outside. */
  get env() {
    const { PATH } = process.env;
    return { PATH, HOME: path.join(this.#folder, "home"), XDG_CACHE_HOME: path.join(this.#folder, "cache") };
  }

  /** The folder of its cache. */
  get cache() {
    return path.join(this.#folder, "cache/oci-fetcher");
  }

  async run(args, options = {}) {
    return run(native(), args, { env: this.env, ...options });
  }

  /** Pulls into a fresh directory, and returns it. */
  async pull(references, more = []) {
    const to = path.join(this.#folder, `pulled-${this.#count++}`);
    await this.run(["-q", "pull", ...more, ...[references].flat(), to]);
    return to;
  }

  /** Lists a directory in the canonical form: its lines, and their digest. */
  async list(directory, without = []) {
    const options = without.flatMap((attribute) => ["--without", attribute]);
    const text = await this.run(["listing", ...options, directory]);
    return parseListing(text);
  }

  /** Pulls and lists. */
  async listing(references, { more = [], without = [] } = {}) {
    return this.list(await this.pull(references, more), without);
  }

  /** Returns the digest of the flattened tar. */
  async tarDigest(reference) {
    const tar = await this.run(["-q", "pull", reference, "--tar", "-"], { binary: true });
    return `sha256:${createHash("sha256").update(tar).digest("hex")}`;
  }
}

function parseListing(text) {
  const lines = text.split("\n").filter((line) => line !== "");
  return { lines: lines.slice(0, -1), digest: lines.at(-1) };
}
