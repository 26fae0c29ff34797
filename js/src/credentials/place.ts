import { Buffer } from "node:buffer";
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, isAbsolute, join } from "node:path";
import process, { platform } from "node:process";
import { codeOf } from "../disk/failure.js";
import { OciError, type ErrorCode } from "../errors.js";
import type { EnvironmentOptions } from "./environment.js";

/** A place that may hold credentials. */
export interface Place {
  /** What messages call it. */
  readonly name: string;
  readonly kind: "docker" | "podman";
  /** A file, or a file's content in a variable. */
  readonly at: { readonly path: string } | { readonly content: string };
  /** Whether the caller named it, so that something must be there. */
  readonly isRequired: boolean;
}

/** Returns the places in the order of the search; a file that the caller named stands alone. */
export function placesOf({ file, variables = process.env }: EnvironmentOptions): Place[] {
  if (file !== undefined) return [fileAt(file, kindOf(file), true)];
  const variable = (name: string): string | undefined => variableOf(variables, name);
  // By the XDG base directory specification, paths that are not absolute are void.
  const folder = (name: string): string | undefined => absolute(variable(name));
  const own = variables === process.env ? homedir() : undefined;
  const home = absolute(variable(platform === "win32" ? "USERPROFILE" : "HOME") ?? own);
  const named = variable("REGISTRY_AUTH_FILE");
  const user = process.getuid?.();
  const containers = (base: string | undefined): string | undefined => below(base, "containers/auth.json");
  const paths: readonly (readonly [string | undefined, Place["kind"]])[] = [
    [named, named === undefined ? "podman" : kindOf(named)],
    [containers(folder("XDG_RUNTIME_DIR")), "podman"],
    [user === undefined ? undefined : `/run/containers/${user}/auth.json`, "podman"],
    [containers(folder("XDG_CONFIG_HOME") ?? below(home, ".config")), "podman"],
    [below(variable("DOCKER_CONFIG") ?? below(home, ".docker"), "config.json"), "docker"],
  ];

  const places = new Map<string, Place>();
  const inline = variable(INLINE);
  if (inline !== undefined) {
    places.set(INLINE, { name: `$${INLINE}`, kind: "docker", at: { content: inline }, isRequired: false });
  }
  for (const [path, kind] of paths) {
    if (path !== undefined && !places.has(`${kind} ${path}`)) places.set(`${kind} ${path}`, fileAt(path, kind, false));
  }
  return [...places.values()];
}

/** Returns a variable's value, which counts as absent when empty. */
export function variableOf(variables: NonNullable<EnvironmentOptions["variables"]>, name: string): string | undefined {
  // On Windows names are the same in any case: the search path is mostly spelled "Path".
  const same = (key: string): boolean => key.toUpperCase() === name.toUpperCase();
  const key = platform === "win32" ? Object.keys(variables).find(same) : name;
  const value = key === undefined ? undefined : variables[key];
  return value === "" ? undefined : value;
}

/** Reads what stands at a place, at most one byte more than the core takes; `undefined` where nothing does. */
export function readPlace(place: Place): Uint8Array | undefined {
  const { at, isRequired, name } = place;
  if ("content" in at) return new TextEncoder().encode(at.content);
  try {
    statSync(at.path);
  } catch (error) {
    const code = codeOf(error);
    const isAbsent = code === "ENOENT" || code === "ENOTDIR";
    if (isAbsent && isRequired) {
      throw fault("auth-file-missing", `there is no credential file ${name}`, "check the path of the credential file");
    }
    // A folder that may not be entered (a service with another user's $HOME) can hold nothing that is
    // meant for this user; a file that is seen but may not be read is a fault.
    if (isAbsent || (code === "EACCES" && !isRequired)) return undefined;
    throw unreadable(place, error);
  }
  try {
    return readBeginning(at.path);
  } catch (error) {
    throw unreadable(place, error);
  }
}

function readBeginning(path: string): Uint8Array {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(AUTH_FILE_BYTES + 1);
    let length = 0;
    for (;;) {
      const count = readSync(file, bytes, length, bytes.length - length, null);
      length += count;
      if (count === 0 || length === bytes.length) return bytes.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
}

function fileAt(path: string, kind: Place["kind"], isRequired: boolean): Place {
  return { name: printable(path), kind, at: { path }, isRequired };
}

/** The format of a file that was named freely: `config.json` is docker's, any other is podman's. */
function kindOf(path: string): Place["kind"] {
  return basename(path) === "config.json" ? "docker" : "podman";
}

function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}

function below(folder: string | undefined, name: string): string | undefined {
  return folder === undefined ? undefined : join(folder, name);
}

/** Replaces what would steer a terminal or reorder its text. */
function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

function unreadable({ name }: Place, error: unknown): OciError {
  return fault("auth-file-unreadable", `cannot read the credential file ${name}`, `make ${name} a file that you may read`, error);
}

function fault(code: ErrorCode, message: string, advice: string, cause?: unknown): OciError {
  return new OciError(code, message, { errorClass: "authentication", advice, cause });
}

const INLINE = "DOCKER_AUTH_CONFIG";

/** What the core takes of a file. */
const AUTH_FILE_BYTES = 1 << 20;
