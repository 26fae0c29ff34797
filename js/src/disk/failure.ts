import { OciError, type ErrorCode } from "../errors.js";
import type { DiskPath } from "./path.js";
import { shown } from "./path.js";

/** Returns the system's name of an error, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/** Says what the disk refused, with the codes and advice of the native host. */
export function diskError(operation: string, path: DiskPath, error: unknown): OciError {
  if (error instanceof OciError) return error;
  const [code, advice] = CAUSES[codeOf(error) ?? ""] ?? ["disk-error", undefined];
  return new OciError(code, `cannot ${operation} ${shown(path)}`, { errorClass: "local", advice, cause: error });
}

/** Runs something on the disk; what it throws is explained by {@link diskError}. */
export function onDisk<T>(operation: string, path: DiskPath, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw diskError(operation, path, error);
  }
}

/** Tells whether the system does not let us write there, which another place would. */
export function isRefusal(error: unknown): boolean {
  return ["EACCES", "EPERM", "EROFS"].includes(codeOf(error) ?? "");
}

const PERMISSION = ["permission-denied", "choose a destination where you may write, or run as its owner"] as const;
const OPEN_FILES = ["too-many-open-files", "raise the limit of open files (`ulimit -n`)"] as const;

const CAUSES: Readonly<Record<string, readonly [ErrorCode, string | undefined]>> = {
  ENOSPC: ["disk-full", "free some space, or choose a destination on another disk"],
  EDQUOT: ["quota-exceeded", "free some of your quota, or choose a destination on another disk"],
  EACCES: PERMISSION,
  EPERM: PERMISSION,
  EROFS: ["read-only-file-system", "choose a destination on a writable file system"],
  EMFILE: OPEN_FILES,
  ENFILE: OPEN_FILES,
  ENAMETOOLONG: ["name-not-supported", "choose a destination on a file system that can hold the name"],
  EILSEQ: ["name-not-supported", "choose a destination on a file system that can hold the name"],
};
