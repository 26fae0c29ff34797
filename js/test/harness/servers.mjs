// The servers that all suites pull from (tests/examples/registries).
import { spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { registries, ROOT } from "./programs.mjs";

/**
 * Starts them; returns their addresses, `requests()`, `renew()` and `stop()`.
 *
 * The first start builds large images below `target/`, which takes minutes; later ones take two seconds.
 */
export async function startServers() {
  const folder = process.env.REGISTRIES_FOLDER ?? path.join(ROOT, "target/registries");
  const child = spawn(registries(), [folder], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error("the servers ended");
    return JSON.parse(value);
  };
  const addresses = await next();
  return {
    addresses,
    /** What each server was asked since the last call. */
    async requests() {
      child.stdin.write("requests\n");
      return next();
    },
    /** Makes faults that show only so often show again. */
    async renew() {
      child.stdin.write("renew\n");
      return next();
    },
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
