import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { engine } from "../dist/engine.js";
import { Client } from "../dist/entry/node.js";
import { image } from "./image.mjs";
import { startRegistry } from "./registry.mjs";

let registry;

before(async () => (registry = await startRegistry()));
after(() => registry.close());

test("a trap ends one instance, and the next call has a fresh one", async () => {
  const reference = registry.serve("app:1", image([[{ path: "a", content: "a" }]]));
  const client = new Client({ cache: false, auth: "anonymous" });
  const before = await client.pull(reference);
  const dead = await engine();
  const trap = () => dead.call(() => {
    throw new WebAssembly.RuntimeError("unreachable");
  });
  assert.throws(trap, { name: "OciError", code: "panic", errorClass: "internal", exitCode: 1 });
  await assert.rejects(before.files.stat("a"), { code: "panic" });
  before.close();
  assert.equal(dead.alive, false);
  const afterwards = await client.pull(reference);
  assert.equal(Buffer.from(await afterwards.files.read("a")).toString(), "a");
  afterwards.close();
  assert.notEqual(await engine(), dead);
});

test("exit codes are the core's", async () => {
  const { OciError } = await import("../dist/errors.js");
  const living = await engine();
  for (const errorClass of ["internal", "usage", "not-found", "authentication", "network", "integrity", "refused", "local", "unsupported", "interrupted"]) {
    const error = new OciError("internal", "", { errorClass });
    assert.equal(error.exitCode, living.call((border) => border.classExitCode(errorClass)), errorClass);
  }
});

test("an error of the core has its own code", async () => {
  const error = await new Client({ auth: "anonymous" }).tags("a//b").catch((error) => error);
  assert.equal(error.code, "malformed-reference");
  assert.equal(error.exitCode, 2);
});
