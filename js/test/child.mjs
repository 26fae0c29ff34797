// Runs a script of these tests in another process of the same runtime, as another user or to be killed.
import { spawn } from "node:child_process";
import { execPath } from "node:process";

/** Starts `script` with JSON as its argument; `result` is what it prints as JSON, or its signal. */
export function start(script, options) {
  const url = new URL(script, import.meta.url);
  const runtime = "Deno" in globalThis ? ["run", "-A"] : [];
  const child = spawn(execPath, [...runtime, url.pathname, JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, DENO_NO_UPDATE_CHECK: "1" },
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (bytes) => (output += bytes));
  child.stderr.on("data", (bytes) => (errors += bytes));
  const result = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (signal !== null) return resolve(signal);
      try {
        resolve(JSON.parse(output));
      } catch {
        reject(new Error(`no result (${code}): ${errors}`));
      }
    });
  });
  return { child, result };
}
