import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  futimesSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { extname } from "node:path";
import { pid, platform } from "node:process";
import { clearInterval, setInterval, setTimeout } from "node:timers";
import { throwIfAborted } from "../errors.js";
import { codeOf } from "./failure.js";
import { NO_FOLLOW } from "./file.js";

/**
 * A lock that a file stands for, with the protocol of the native program, so that processes of both
 * share what it guards.
 *
 * The file is created with `O_EXCL`; its text names the owner, who refreshes its time. Another process
 * takes it over when the owner is known to be dead (same boot and process namespace, and no such
 * process), has not refreshed it for {@link STALE}, or has not even written its name within
 * {@link NAMELESS}. Taking over renames the file first, so that only one of several wins.
 */
export class LockFile {
  readonly #path: string;
  readonly #file: number;
  readonly #text: string;
  readonly #refreshing: ReturnType<typeof setInterval>;
  #released = false;

  private constructor(path: string, file: number, text: string) {
    this.#path = path;
    this.#file = file;
    this.#text = text;
    this.#refreshing = setInterval(() => this.#refresh(), STALE / 6);
    this.#refreshing.unref();
  }

  /** Takes the lock if nobody alive holds it. */
  static tryAcquire(path: string): LockFile | undefined {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      let file: number;
      try {
        file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o666);
      } catch (error) {
        if (codeOf(error) !== "EEXIST") throw error;
        if (!clearStale(path)) return undefined;
        continue;
      }
      const text = owner();
      try {
        writeSync(file, text);
      } catch (error) {
        closeSync(file);
        unlinkSync(path);
        throw error;
      }
      return new LockFile(path, file, text);
    }
    return undefined;
  }

  /** Takes the lock, waiting for its owner at most `patience` milliseconds. */
  static async acquire(path: string, patience: number, signal?: AbortSignal): Promise<LockFile | undefined> {
    const begun = performance.now();
    for (;;) {
      const lock = LockFile.tryAcquire(path);
      if (lock !== undefined || performance.now() - begun >= patience) return lock;
      await new Promise((resolve) => setTimeout(resolve, POLL));
      throwIfAborted(signal);
    }
  }

  /** Tells whether the lock is still this owner's. */
  isHeld(): boolean {
    try {
      return !this.#released && read(this.#path) === this.#text;
    } catch {
      return false;
    }
  }

  /** Gives the lock up. */
  release(): void {
    if (this.#released) return;
    if (this.isHeld()) {
      try {
        unlinkSync(this.#path);
      } catch {
        // At the worst it is taken over when it has become stale.
      }
    }
    this.#released = true;
    clearInterval(this.#refreshing);
    closeSync(this.#file);
  }

  #refresh(): void {
    const now = Date.now() / 1_000;
    try {
      futimesSync(this.#file, now, now);
    } catch {
      // At the worst it is taken over; what it guards is verified before it counts.
    }
  }
}

/** Milliseconds without a sign of life after which a lock belongs to nobody. */
export const STALE = 60_000;

/** The same for a lock without a name: owners write theirs at once, unless they are killed in between. */
export const NAMELESS = 2_000;

/** How often a waiting process looks again. */
const POLL = 20;

/** Removes a lock whose owner is gone; returns whether the way may be free. */
function clearStale(path: string): boolean {
  let text: string;
  let modified: number;
  try {
    text = read(path);
    modified = lstatSync(path).mtimeMs;
  } catch (error) {
    return isGone(error);
  }
  const silent = Date.now() - modified > (text === "" ? NAMELESS : STALE);
  if (!silent && !isDead(text)) return false;
  const aside = `${path.slice(0, path.length - extname(path).length)}.stale-${pid}-${unique()}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    return isGone(error);
  }
  const found = read(aside);
  if (found !== text) {
    // Somebody else had taken it over in between: theirs goes back.
    try {
      linkSync(aside, path);
    } catch {
      // A third one has it by now.
    }
  }
  unlinkSync(aside);
  return found === text;
}

function isGone(error: unknown): boolean {
  if (codeOf(error) === "ENOENT") return true;
  throw error;
}

/** Reads the owner's name, without following a link or waiting for a FIFO: neither names an owner. */
function read(path: string): string {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | NO_FOLLOW);
  } catch (error) {
    if (codeOf(error) === "ENOENT") throw error;
    return "";
  }
  try {
    const bytes = Buffer.alloc(1_024);
    return bytes.toString("utf8", 0, readSync(file, bytes, 0, bytes.length, 0));
  } catch {
    return "";
  } finally {
    closeSync(file);
  }
}

/** Names this owner: the process, the boot and namespace within which its number means something. */
function owner(): string {
  return `${pid} ${scope()} ${unique()}\n`;
}

function unique(): string {
  return randomBytes(6).toString("hex");
}

function scope(): string {
  // Without a name for the namespace only silence shows that an owner is gone.
  if (platform !== "linux") return "unknown";
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot}/${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return "unknown";
  }
}

function isDead(text: string): boolean {
  const [process, within] = text.split(/\s+/);
  if (process === undefined || within === undefined || within === "unknown" || within !== scope()) return false;
  return /^\d+$/.test(process) && !existsSync(`/proc/${process}`);
}
