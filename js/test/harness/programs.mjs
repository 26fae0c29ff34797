// Where the programs are that the suites run.
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root. */
export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");

/** The folder of the npm package. */
export const PACKAGE = path.join(ROOT, "js");

/** What `npm ci` in this folder installed. */
export const MODULES = path.join(PACKAGE, "test/node_modules");

/** Returns the native program, by which everything else is judged. */
export function native() {
  const program = process.env.OCI_FETCHER ?? path.join(ROOT, "target/release/oci-fetcher");
  return required(program, "cargo build --release -p oci-fetcher");
}

/** Returns the servers of the suites. */
export function registries() {
  const program = process.env.REGISTRIES ?? path.join(ROOT, "target/release/examples/registries");
  return required(program, "cargo build --release -p oci-fetcher-tests --example registries");
}

/** Returns Node of this version: 20, 24 or 26. */
export function node(version) {
  return required(path.join(MODULES, `node-${version}-${process.arch}/bin/node`), "npm ci, in js/test");
}

/** Returns a program that an npm package brought. */
export function brought(name) {
  return required(path.join(MODULES, ".bin", name), "npm ci, in js/test");
}

/** A program that is missing fails the suite: what is skipped in silence proves nothing. */
export function required(program, remedy) {
  if (!existsSync(program)) throw new Error(`${program} is missing: ${remedy}`);
  return program;
}
