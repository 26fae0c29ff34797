import { OciError } from "./errors.js";

/**
 * Turns the bytes of a path or name into a string.
 *
 * UTF-8 is taken as it is; every byte that is not part of well-formed UTF-8 becomes the lone surrogate
 * U+DC00 + byte, so that any name can be shown and given back (as Python's `surrogateescape`).
 */
export function decodeName(bytes: Uint8Array): string {
  try {
    return STRICT.decode(bytes);
  } catch {
    return decodeEscaped(bytes);
  }
}

/** Turns a string that {@link decodeName} made, or any well-formed one, into bytes. */
export function encodeName(name: string): Uint8Array {
  return SURROGATE.test(name) ? encodeEscaped(name) : ENCODER.encode(name);
}

function decodeEscaped(bytes: Uint8Array): string {
  let text = "";
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += String.fromCharCode(ESCAPE + (bytes[at] ?? 0));
      at += 1;
    } else {
      text += STRICT.decode(bytes.subarray(at, at + length));
      at += length;
    }
  }
  return text;
}

/** Returns how long the well-formed UTF-8 sequence at `at` is; zero where there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  try {
    STRICT.decode(bytes.subarray(at, at + length));
    return length;
  } catch {
    return 0;
  }
}

function encodeEscaped(name: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= ESCAPE + 0x80 && code <= ESCAPE + 0xff) {
      bytes.push(code - ESCAPE);
    } else if (code >= 0xd800 && code <= 0xdfff) {
      throw new OciError("usage", "a name holds half a surrogate pair that stands for no byte", { errorClass: "usage" });
    } else {
      bytes.push(...ENCODER.encode(character));
    }
  }
  return Uint8Array.from(bytes);
}

const STRICT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();
const SURROGATE = /[\ud800-\udfff]/;
const ESCAPE = 0xdc00;
