import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { adviceHere } from "../dist/advice.js";

test("advice names this package's options", () => {
  for (const [theirs, ours] of [
    ["choose one of the available platforms with --platform", "choose one of the available platforms with the option platform"],
    ["if the image is trusted, raise --max-zstd-window (Limits::zstd_window)", "if the image is trusted, raise limits.zstdWindow"],
    ["pass the registry's certificate authority with --ca-file", "have the runtime trust the registry's certificate authority"],
    ["run it once without --offline", "run it once without the option offline"],
    ["check the name", "check the name"],
  ]) {
    assert.equal(adviceHere(theirs), ours);
  }
});

test("no advice of the core speaks of a password on standard input", () => {
  const core = new URL("../../core/src/", import.meta.url);
  const advice = readdirSync(core, { recursive: true })
    .filter((name) => name.endsWith(".rs"))
    .flatMap((name) => [...readFileSync(new URL(name, core), "utf8").matchAll(/"([^"\n]*--(?:password-stdin|ca-file)[^"\n]*)"/g)])
    .map(([, text]) => text);
  assert.notEqual(advice.length, 0);
  for (const text of advice) assert.doesNotMatch(adviceHere(text), /passwordStdin|caFile|username/);
});
