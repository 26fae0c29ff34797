// Runs steps one after another, wherever JavaScript runs: nothing here is of one runtime.

/**
 * Runs steps, `{ name: async (place) => value }`, and returns what became of each:
 * `{ name, milliseconds, value }` or `{ name, milliseconds, error }`.
 */
export async function runSteps(steps, place) {
  const results = [];
  for (const [name, step] of Object.entries(steps)) {
    const started = performance.now();
    const result = { name };
    try {
      result.value = await within(120_000, step(place));
    } catch (error) {
      result.error = describe(error);
    }
    result.milliseconds = Math.round(performance.now() - started);
    results.push(result);
  }
  return results;
}

/** A step that never ends must not keep the others from being told. */
async function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function describe(error) {
  const causes = [];
  for (let cause = error; cause !== undefined && cause !== null && causes.length < 8; cause = cause.cause) {
    causes.push(`${cause.code === undefined ? "" : `[${cause.code}] `}${cause.message ?? cause}`);
  }
  return `${causes.join(": ")}\n${error?.stack ?? ""}`;
}

/** Fails unless two values are the same, by their JSON. */
export function equal(actual, expected, what = "value") {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (is !== should) throw new Error(`${what} is ${is}, not ${should}`);
}

/** Fails unless it holds. */
export function check(holds, what) {
  if (!holds) throw new Error(what);
}

/** Fails unless the promise is refused with an error of this code and class; returns the error. */
export async function refused(promise, code, errorClass, oci) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    if (!(error instanceof oci.OciError)) throw error;
    const expected = [code].flat();
    if (!expected.includes(error.code) || error.errorClass !== errorClass) {
      throw new Error(`the error is ${error.errorClass}/${error.code}, not ${errorClass}/${expected.join("|")}`, { cause: error });
    }
    return error;
  }
  value?.close?.();
  throw new Error(`nothing was refused; expected ${errorClass}/${code}`);
}

/** Reads a stream to its end. */
export async function collect(stream) {
  const reader = stream.getReader();
  const chunks = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value.slice());
  }
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/** Hashes with the runtime's own SHA-256, not the package's. */
export async function sha256(bytes) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `sha256:${Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

export const text = (bytes) => new TextDecoder().decode(bytes);

/** Names the first lines that differ. */
export function sameListing(actual, expected) {
  if (actual.digest === expected.digest) return;
  const differing = [];
  for (let at = 0; at < Math.max(actual.lines.length, expected.lines.length) && differing.length < 6; at++) {
    if (actual.lines[at] !== expected.lines[at]) differing.push(`- ${expected.lines[at]}\n+ ${actual.lines[at]}`);
  }
  throw new Error(`the listing ${actual.digest} is not the native ${expected.digest}:\n${differing.join("\n")}`);
}
