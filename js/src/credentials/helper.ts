import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import process, { platform } from "node:process";
import { clearTimeout, setTimeout } from "node:timers";
import { engine, type Engine } from "../engine.js";
import { OciError, type ErrorCode } from "../errors.js";
import type { EnvironmentOptions, Found } from "./environment.js";
import { variableOf, type Place } from "./place.js";

/** What a helper is asked. */
export interface Question {
  readonly program: string;
  readonly address: string;
}

/**
 * Asks a credential helper; `undefined` where it has nothing.
 *
 * It gets the registry's address and nothing else that a registry could choose. Its output and its time
 * are bounded, and nothing of what it writes is ever shown.
 */
export async function askHelper(
  question: Question,
  place: Place,
  { variables = process.env, helperTime = HELPER_TIME }: EnvironmentOptions,
): Promise<Found | undefined> {
  const { program, address } = question;
  const origin = `${program} (named by ${place.name})`;
  if (!PROGRAM.test(program)) throw helperError("malformed-helper-name", origin, "the name is no program's");
  const path = lookUp(program, variables);
  if (path === undefined) {
    throw helperError("helper-missing", origin, "no absolute folder of PATH holds the program", {
      advice: `install ${program} in a folder of PATH, or take it out of ${place.name}`,
    });
  }
  const said = await converse(path, address, variables, helperTime).catch((error: unknown) => {
    if (error instanceof Refusal) throw helperError(error.code, origin, error.message, { program });
    throw helperError("helper-failed", origin, "the program does not start", { program, cause: error });
  });
  const living = await engine();
  if (said.status === 0) return answerOf(living, said.output, origin, program);
  const { output, errors, status } = said;
  const hasNothing = living.call((border) => border.helperSaysNotFound(output) || border.helperSaysNotFound(errors));
  if (hasNothing) return undefined;
  throw helperError("helper-failed", origin, `the program failed (${String(status)})`, { program });
}

function answerOf(living: Engine, output: Uint8Array, origin: string, program: string): Found | undefined {
  try {
    const answer = JSON.parse(living.call((border) => border.helperAnswer(output))) as HelperAnswer;
    return answer.answer === "credential" ? answer.credential : undefined;
  } catch (error) {
    const code = error instanceof OciError ? error.code : "malformed-helper-answer";
    throw helperError(code, origin, "its answer cannot be used", { program });
  }
}

type HelperAnswer =
  | { readonly answer: "credential"; readonly credential: Found }
  | { readonly answer: "nothing" };

/** Finds a program in the absolute folders of `PATH`; neither an empty nor a relative entry makes the
 * working directory one. */
function lookUp(program: string, variables: NonNullable<EnvironmentOptions["variables"]>): string | undefined {
  const folders = (variableOf(variables, "PATH") ?? "").split(delimiter).filter((folder) => isAbsolute(folder));
  // Cloud vendors install helpers as batch files on Windows; the one argument that they get is constant.
  const extensions = platform === "win32" ? [".exe", ".cmd", ".bat"] : [""];
  const candidates = folders.flatMap((folder) => extensions.map((extension) => join(folder, program + extension)));
  return candidates.find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** What a helper wrote until it ended. */
interface Said {
  /** Its exit status, or the signal that ended it. */
  readonly status: number | string;
  readonly output: Uint8Array;
  readonly errors: Uint8Array;
}

function converse(
  path: string,
  address: string,
  variables: NonNullable<EnvironmentOptions["variables"]>,
  time: number,
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const env = { ...variables } as NodeJS.ProcessEnv;
    const shell = /\.(cmd|bat)$/i.test(path);
    const child = spawn(shell ? `"${path}"` : path, ["get"], { env, shell, stdio: ["pipe", "pipe", "pipe"], windowsHide: true });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    let length = 0;
    let afterExit: ReturnType<typeof setTimeout> | undefined;
    const end = (settle: () => void): void => {
      clearTimeout(late);
      clearTimeout(afterExit);
      for (const pipe of child.stdio) pipe?.destroy();
      settle();
    };
    const give = (error: unknown): void => {
      child.kill("SIGKILL");
      end(() => reject(error));
    };
    const late = setTimeout(() => {
      give(new Refusal("helper-timed-out", `no answer within ${time / 1_000} seconds`));
    }, time);
    const said = (status: number | string): void =>
      end(() => resolve({ status, output: Buffer.concat(output), errors: Buffer.concat(errors) }));

    child.stdout.on("data", (bytes: Buffer) => {
      output.push(bytes);
      length += bytes.length;
      if (length > OUTPUT_BYTES) {
        give(new Refusal("helper-answer-too-long", `an answer of more than ${OUTPUT_BYTES} bytes`));
      }
    });
    let kept = 0;
    child.stderr.on("data", (bytes: Buffer) => {
      // Read to its end, so that no helper blocks on it; what could be a message is kept.
      if (kept < OUTPUT_BYTES) errors.push(bytes.subarray(0, OUTPUT_BYTES - kept));
      kept += bytes.length;
    });
    child.on("error", give);
    child.on("close", (code, signal) => said(code ?? signal ?? "unknown"));
    child.on("exit", (code, signal) => {
      // A daemon that the helper has left behind may hold the pipes open for good.
      afterExit = setTimeout(() => said(code ?? signal ?? "unknown"), AFTER_EXIT);
    });
    // Some helpers serve one registry, and never read which.
    child.stdin.on("error", () => undefined);
    child.stdin.end(address);
  });
}

/** Why a conversation was ended. */
class Refusal extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

function helperError(
  code: ErrorCode,
  origin: string,
  reason: string,
  about: { readonly program?: string; readonly advice?: string; readonly cause?: unknown } = {},
): OciError {
  const { program, cause } = about;
  const advice =
    about.advice ??
    (program && `run "${program} get" with the registry's name as its input, to see what it says`);
  return new OciError(code, `cannot get credentials from ${origin}: ${reason}`, {
    errorClass: "authentication",
    advice,
    cause,
  });
}

/** No name leads to another folder. */
const PROGRAM = /^docker-credential-[A-Za-z0-9_][A-Za-z0-9._-]*$/;
/** A keychain may have to ask its user for a passphrase. */
const HELPER_TIME = 30_000;
/** Most bytes of a helper's answer: tokens are some kilobytes. */
const OUTPUT_BYTES = 64 << 10;
/** Milliseconds that the pipes may stay open after the helper's end. */
const AFTER_EXIT = 500;
