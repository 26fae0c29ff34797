// Empty projects, with the packed package installed as a user would.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { PACKAGE } from "./programs.mjs";
import { run } from "./run.mjs";

/** A folder that goes away with `remove()`. */
export function temporary() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "oci-fetcher-"));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }) };
}

/** Packs the package into a folder, and returns the tarball's path and the names of its files. */
export async function pack(folder) {
  const told = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], { cwd: PACKAGE });
  const parsed = JSON.parse(told);
  const [{ filename, files, size, unpackedSize }] = Array.isArray(parsed) ? parsed : Object.values(parsed);
  return { tarball: path.join(folder, filename), files: files.map((file) => file.path), size, unpackedSize };
}

/** Makes an empty project, installs the tarball without asking a registry, and copies files into it. */
export async function project(folder, tarball, files) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: "project", private: true, type: "module" }));
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", tarball], { cwd: folder });
  for (const file of files) cpSync(file, path.join(folder, path.basename(file)), { recursive: true });
  const installed = path.join(folder, "node_modules/oci-fetcher");
  return { folder, installed, manifest: JSON.parse(readFileSync(path.join(installed, "package.json"), "utf8")) };
}
