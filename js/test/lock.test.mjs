import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterEach, beforeEach, test } from "node:test";
import { LockFile, NAMELESS, STALE } from "../dist/disk/lock.js";
import { deadIn, reclaim, WorkDirectory } from "../dist/disk/work.js";
import { start } from "./child.mjs";

let folder;
let path;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "oci-fetcher-test-"));
  path = join(folder, "lock");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const age = (milliseconds) => {
  const time = (Date.now() - milliseconds) / 1_000;
  utimesSync(path, time, time);
};

test("only one holds it", async () => {
  const first = LockFile.tryAcquire(path);
  assert.equal(LockFile.tryAcquire(path), undefined);
  assert.equal(await LockFile.acquire(path, 50), undefined);
  first.release();
  first.release();
  const second = LockFile.tryAcquire(path);
  assert.ok(second.isHeld());
  second.release();
  assert.deepEqual(readdirSync(folder), []);
});

test("whoever waits gets it when it is given up", async () => {
  const first = LockFile.tryAcquire(path);
  setTimeout(() => first.release(), 60);
  const second = await LockFile.acquire(path, 5_000);
  assert.ok(second.isHeld());
  second.release();
});

test("a dead owner's lock is taken over at once", { skip: process.platform !== "linux" }, async () => {
  const { child, result } = start("lock-child.mjs", { path });
  await new Promise((resolve) => {
    const isNamed = () => existsSync(path) && readFileSync(path, "utf8") !== "";
    const timer = setInterval(() => isNamed() && (clearInterval(timer), resolve()), 5);
  });
  assert.equal(LockFile.tryAcquire(path), undefined);
  child.kill("SIGKILL");
  await result;
  const lock = LockFile.tryAcquire(path);
  assert.match(readFileSync(path, "utf8"), new RegExp(`^${process.pid} [^ ]+/pid:\\[\\d+\\] [^ ]+\n$`));
  lock.release();
});

test("an owner killed before it wrote its name loses it soon", () => {
  writeFileSync(path, "");
  assert.equal(LockFile.tryAcquire(path), undefined);
  age(NAMELESS * 2);
  LockFile.tryAcquire(path).release();
});

test("a silent owner of another machine loses it", () => {
  writeFileSync(path, "1 elsewhere 0\n");
  assert.equal(LockFile.tryAcquire(path), undefined);
  age(STALE * 2);
  const lock = LockFile.tryAcquire(path);
  assert.ok(lock.isHeld());
  // Taken over by another after all.
  writeFileSync(path, "1 elsewhere 1\n");
  assert.ok(!lock.isHeld());
  lock.release();
  assert.equal(readFileSync(path, "utf8"), "1 elsewhere 1\n");
});

test("work directories of the living stay", async () => {
  const work = WorkDirectory.create(folder, ".root.oci-fetcher-");
  assert.deepEqual([...deadIn(folder, ".root.oci-fetcher-")], []);
  await work.remove();
  assert.deepEqual(readdirSync(folder), []);
});

test("what stood at a destination comes back where a run was killed between its renames", async () => {
  const destination = join(folder, "root");
  const left = join(folder, ".root.oci-fetcher-abc123.js");
  mkdirSync(join(left, "packs"), { recursive: true });
  writeFileSync(join(left, "lock"), "1 elsewhere 0\n");
  mkdirSync(`${left}.old/before`, { recursive: true });
  mkdirSync(`${left}.new`);
  await reclaim(folder, ".root.oci-fetcher-", destination);
  // Its owner may live.
  assert.equal(readdirSync(folder).length, 3);
  const long = (Date.now() - STALE * 2) / 1_000;
  utimesSync(join(left, "lock"), long, long);
  await reclaim(folder, ".root.oci-fetcher-", destination);
  assert.deepEqual(readdirSync(folder), ["root"]);
  assert.deepEqual(readdirSync(destination), ["before"]);
});
