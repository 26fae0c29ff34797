// Pulls what it is told to, one image after another, with the npm package: a request a line on standard
// input, `{ reference, to, limits, replace, names, count }`, and an answer a line on standard output.
import process from "node:process";
import { createInterface } from "node:readline";
import { Client, directory, memory, OciError } from "../../../../js/dist/entry/node.js";

// Whatever it takes away, the image's modes are what counts.
process.umask(0o077);
const clients = new Map();

for await (const line of createInterface({ input: process.stdin })) {
  const before = process.cpuUsage();
  const answer = await pull(JSON.parse(line));
  const { user, system } = process.cpuUsage(before);
  process.stdout.write(`${JSON.stringify({ ...answer, busy: user + system, resident: process.memoryUsage().rss })}\n`);
}
for (const client of clients.values()) client.close();

async function pull({ reference, to, limits, replace, names, count }) {
  try {
    const destination = to === null ? memory() : directory(to, { force: replace });
    const pulled = await clientWith(limits).pull(reference, { to: destination, platform: "linux/amd64", names: names ?? "any" });
    try {
      if (count) return { entries: pulled.counts.entries };
      const lines = to === null ? (await pulled.files.listing()).lines : [];
      return { lines, skipped: pulled.report.skipped, warnings: pulled.warnings };
    } finally {
      pulled.close();
    }
  } catch (error) {
    if (!(error instanceof OciError)) return { error: { code: "not-ours", exit: 1, message: String(error?.stack ?? error) } };
    return { error: { code: error.code, exit: error.exitCode, message: error.message } };
  }
}

/** Returns a client with these limits: each has decoders of its own, which are worth keeping. */
function clientWith(limits) {
  const key = JSON.stringify(limits);
  const client = clients.get(key) ?? new Client({ auth: "anonymous", cache: false, limits });
  clients.set(key, client);
  return client;
}
