// The native program, where it was built: tests hold this package against it.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const built = fileURLToPath(new URL("../../target/release/oci-fetcher", import.meta.url));
const program = process.env.OCI_FETCHER_PROGRAM ?? (existsSync(built) ? built : undefined);

/** Why tests that need the program are left out; false where it is there. */
export const noNative = program === undefined && "the native program was not built";

/** Runs it without blocking this process, which serves the registry; returns what it prints as JSON. */
export function native(...args) {
  return startNative(...args).result;
}

/** Starts it, for tests that end it. */
export function startNative(...args) {
  const env = { ...process.env, DOCKER_CONFIG: "/nonexistent", REGISTRY_AUTH_FILE: "" };
  let child;
  const result = new Promise((resolve, reject) => {
    child = execFile(program, ["--json", ...args], { env }, (error, output, errors) => {
      if (error) reject(new Error(`${args.join(" ")}: ${output}${errors}`));
      else resolve(JSON.parse(output));
    });
  });
  return { child, result };
}
