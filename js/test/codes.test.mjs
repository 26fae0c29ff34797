import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { OWN_CODES, SHARED_CODES } from "../dist/codes.js";

const ROOT = new URL("../../", import.meta.url);

test("the codes are those of the Rust sources", () => {
  const sources = new Set(["core/src", "host-native/src"].flatMap((folder) => codesIn(new URL(`${folder}/`, ROOT))));
  assert.deepEqual([...SHARED_CODES].sort(), [...sources].sort());
});

test("the package's own codes are no others' codes", () => {
  assert.deepEqual(OWN_CODES.filter((code) => SHARED_CODES.includes(code)), []);
});

test("the border throws no code that is not listed", () => {
  const border = new URL("host-wasm/src/", ROOT);
  if (!existsSync(border)) return;
  const files = readdirSync(border, { recursive: true }).filter((name) => name.endsWith(".rs"));
  const codes = files.flatMap((name) => [...readFileSync(new URL(name, border), "utf8").matchAll(/\bcode: "([a-z0-9-]+)"/g)]);
  assert.deepEqual(codes.map(([, code]) => code).filter((code) => ![...SHARED_CODES, ...OWN_CODES].includes(code)), []);
});

/** Returns every string in the body of an `Explain::code`; the command line's own are not the library's. */
function codesIn(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(".rs") && !/(^|\/)tests(\/|\.rs$)|^cli\//.test(name))
    .flatMap((name) => {
      const text = readFileSync(new URL(name, folder), "utf8");
      return text.split("fn code(&self) -> &'static str {").slice(1).flatMap((rest) => {
        let depth = 1;
        let end = 0;
        for (; depth > 0; end += 1) depth += rest[end] === "{" ? 1 : rest[end] === "}" ? -1 : 0;
        return [...rest.slice(0, end).matchAll(/"([a-z0-9]+(?:-[a-z0-9]+)*)"/g)].map((match) => match[1]);
      });
    });
}
