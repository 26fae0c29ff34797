// Runs programs to their end.
import { spawn } from "node:child_process";

/**
 * Runs a program that must succeed; returns what it printed, as text or, with `binary`, as bytes.
 *
 * A failure carries what it wrote to standard error. Nothing but this process id is ever ended.
 */
export async function run(program, args, { cwd, env, binary = false, timeout = 600_000 } = {}) {
  const { code, stdout, stderr } = await attempt(program, args, { cwd, env, timeout });
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: ended with ${code}\n${stderr}${stdout.subarray(0, 2000)}`);
  return binary ? stdout : stdout.toString("utf8");
}

/** Runs a program to its end, whatever that is. */
export async function attempt(program, args, { cwd, env, timeout = 600_000 } = {}) {
  const child = spawn(program, args, { cwd, env: env ?? process.env, stdio: ["ignore", "pipe", "pipe"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), timeout);
  const [stdout, stderr] = [[], []];
  child.stdout.on("data", (chunk) => stdout.push(chunk));
  child.stderr.on("data", (chunk) => stderr.push(chunk));
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? signal));
  });
  clearTimeout(timer);
  return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString("utf8") };
}
