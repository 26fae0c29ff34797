import { encodeName } from "../name.js";

/**
 * Writes any text as the name of a file that every browser takes: bytes other than ASCII letters,
 * digits, `-`, `_` and inner dots become `%` and two digits.
 *
 * Capital letters are encoded too, because a browser may keep files where case does not count.
 */
export function fileName(text: string): string {
  return encoded(text, /[a-z0-9_-]/);
}

/** Names the files of one directory after its entries, so that people recognise them. */
export class FileNames {
  readonly #taken = new Set<string>();

  /** Returns an entry's file name; the same for the same entries in the same order. */
  of(name: string): string {
    const plain = encoded(name, /[A-Za-z0-9_-]/);
    const chosen = this.#taken.has(plain.toLowerCase()) ? fileName(name) : plain;
    this.#taken.add(chosen.toLowerCase());
    return chosen;
  }
}

function encoded(text: string, plain: RegExp): string {
  let name = "";
  for (const byte of encodeName(text)) {
    const character = String.fromCharCode(byte);
    const kept = plain.test(character) || (character === "." && name !== "");
    name += kept ? character : `%${byte.toString(16).padStart(2, "0")}`;
  }
  // Some systems drop a dot at the end.
  return name.replace(/\.$/, "%2e");
}
