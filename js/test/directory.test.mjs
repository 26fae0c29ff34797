import assert from "node:assert/strict";
import { chownSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { Client, directory, memory } from "../dist/entry/node.js";
import { start } from "./child.mjs";
import { digestOf, image } from "./image.mjs";
import { startRegistry } from "./registry.mjs";

let registry;
let parent;
let path;

before(async () => (registry = await startRegistry()));
after(() => registry.close());
beforeEach(() => {
  registry.fault = () => undefined;
  registry.requests.length = 0;
  parent = mkdtempSync(join(tmpdir(), "oci-fetcher-test-"));
  path = join(parent, "root");
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const isRoot = process.geteuid() === 0;
const isDeno = "Deno" in globalThis;
const client = new Client({ retry: { firstPause: 1, longestPause: 2 }, cache: false, auth: "anonymous" });
const text = (bytes) => Buffer.from(bytes).toString();
const failure = (promise) => promise.then(() => assert.fail("it succeeded"), (error) => error);

const TREE = [
  { path: "./", type: "directory", mode: 0o711, mtime: 1_600_000_000 },
  { path: "a/", type: "directory", mode: 0o2755, uid: 7, gid: 8, mtime: 1_000 },
  { path: "a/file", content: "content\n", mode: 0o640, uid: 1, gid: 2, mtime: 1_234_567_890 },
  { path: "a-b", content: "sorts before what is in a" },
  { path: "a/tool", content: "#!/bin/sh\n", mode: 0o4755 },
  { path: "a/link", type: "symlink", target: "/a/./file", mtime: 5 },
  { path: "a/out", type: "symlink", target: "../../../etc/passwd" },
  { path: "second", type: "link", target: "a/file" },
  { path: "linked", type: "link", target: "a/link" },
  { path: "closed/", type: "directory", mode: 0 },
  { path: "closed/in", content: "x", mode: 0 },
  { path: "empty", content: "" },
  { path: "large", content: "0123456789abcdef".repeat(100_000) },
];

test("a directory holds what the image says", async () => {
  const pulled = await client.pull(registry.serve("app:1", image([TREE])), { to: directory(path) });
  assert.deepEqual(readdirSync(parent), ["root"]);
  assert.equal(readFileSync(join(path, "a/file"), "utf8"), "content\n");
  assert.equal(lstatSync(path).mode & 0o7777, 0o711);
  assert.equal(lstatSync(path).mtimeMs, 1_600_000_000_000);
  assert.equal(lstatSync(join(path, "a")).mtimeMs, 1_000_000);
  const file = lstatSync(join(path, "a/file"));
  assert.equal(file.mode & 0o7777, 0o640);
  assert.equal(file.mtimeMs, 1_234_567_890_000);
  assert.equal(lstatSync(join(path, "second")).ino, file.ino);
  assert.equal(readlinkSync(join(path, "a/link")), "/a/./file");
  assert.equal(lstatSync(join(path, "linked")).ino, lstatSync(join(path, "a/link")).ino);
  assert.equal(lstatSync(join(path, "a/link")).mtimeMs, 5_000);
  assert.equal(lstatSync(join(path, "closed")).mode & 0o7777, 0);
  assert.equal(digestOf(readFileSync(join(path, "large"))), digestOf(Buffer.from(TREE.at(-1).content)));
  if (isRoot) {
    assert.deepEqual([file.uid, file.gid], [1, 2]);
    assert.equal(lstatSync(join(path, "a/tool")).mode & 0o7777, 0o4755);
    assert.equal(lstatSync(join(path, "a")).mode & 0o7777, 0o2755);
    assert.deepEqual(pulled.report, { skipped: [], counts: {} });
  }
  pulled.close();
});

test("the result is read back from the disk", { skip: !isRoot }, async () => {
  const reference = registry.serve("app:2", image([TREE]));
  const onDisk = await client.pull(reference, { to: directory(path) });
  const inMemory = await client.pull(reference, { to: memory() });
  const walk = async ({ files }) => {
    const entries = [];
    for await (const entry of files.walk()) {
      const content = entry.kind === "file" ? digestOf(await files.read(entry.path)) : undefined;
      // The mode of a symlink means nothing, and systems have one for all.
      const mode = entry.kind === "symlink" ? 0o777 : entry.mode;
      entries.push({ ...entry, mode, node: 0, content });
    }
    return entries;
  };
  const [read, expected] = [await walk(onDisk), await walk(inMemory)];
  assert.deepEqual(read.map(({ path }) => path), expected.map(({ path }) => path));
  assert.deepEqual(read, expected);
  const tar = async ({ files }) => digestOf(Buffer.from(await new Response(files.tar()).arrayBuffer()));
  assert.equal(await tar(onDisk), await tar(inMemory));

  const { files } = onDisk;
  assert.equal(text(await files.read("a/link")), "content\n");
  assert.equal((await files.stat("/a/link/")).kind, "file");
  assert.equal((await files.lstat("second")).hardLinkTo, "a/file");
  assert.equal((await files.lstat("a/file")).hardLinkTo, "");
  // An outward link leads to a place inside the root, where nothing stands.
  assert.equal(await files.stat("a/out"), undefined);
  await assert.rejects(files.read("a/out"), { code: "path-not-found" });
  await assert.rejects(files.read("a"), { code: "not-a-file" });
  await assert.rejects(files.readdir("a-b"), { code: "not-a-directory" });
  await assert.rejects(files.readlink("a"), { code: "not-a-symlink" });
  assert.deepEqual((await files.readdir("a")).map(({ path }) => path), ["file", "link", "out", "tool"]);
  writeFileSync(join(path, "a-b"), "changed");
  assert.equal(text(await files.read("a-b")), "changed");
  onDisk.close();
  await assert.rejects(files.read("a-b"), { code: "closed" });
});

test("what the runtime cannot set is reported", { skip: !isRoot }, async () => {
  const built = image([
    [
      { path: "fifo", type: "fifo" },
      { path: "null", type: "character" },
      { path: "same", type: "link", target: "fifo" },
      { path: "capable", content: "x", pax: { "SCHILY.xattr.user.note": "y", mtime: "1700000000.123456789" } },
      { path: "exact", content: "x", pax: { mtime: "1700000000.987654321" } },
    ],
  ]);
  const { report, files } = await client.pull(registry.serve("app:3", built), { to: directory(path) });
  const items = report.skipped.map(({ path, what, name, reason }) => `${path} ${what} ${name ?? ""} ${reason}`).sort();
  assert.deepEqual(items, [
    " nanoseconds  not-supported",
    "capable xattr user.note not-supported",
    "fifo fifo  not-supported",
    "null device  not-supported",
    "same hard-link  not-supported",
  ]);
  assert.equal(report.counts.nanoseconds, 2);
  assert.deepEqual(readdirSync(path).sort(), ["capable", "exact"]);
  assert.equal((await files.stat("exact")).mtime, 1_700_000_000);
});

test("holes stay holes", async () => {
  const pax = { "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse", "GNU.sparse.realsize": "10485760" };
  const map = Buffer.alloc(512);
  map.write("1\n5242880\n4\n");
  const content = Buffer.concat([map, Buffer.from("data")]);
  const built = image([[{ path: "GNUSparseFile.0/sparse", content, pax }]]);
  await client.pull(registry.serve("app:sparse", built), { to: directory(path) });
  const file = lstatSync(join(path, "sparse"));
  assert.equal(file.size, 10_485_760);
  assert.ok(file.blocks * 512 < 100_000, `${file.blocks} blocks`);
  assert.equal(readFileSync(join(path, "sparse")).subarray(5_242_880, 5_242_884).toString(), "data");
});

test("names that are not UTF-8 are kept, or refused before anything is there", async () => {
  const reference = registry.serve("app:bytes", image([[{ path: "caf\xe9", content: "x" }]]));
  if (isDeno) {
    assert.equal((await failure(client.pull(reference, { to: directory(path) }))).code, "name-not-supported");
    assert.deepEqual(readdirSync(parent), []);
    return;
  }
  const { files } = await client.pull(reference, { to: directory(path) });
  const [name] = readdirSync(path, { encoding: "buffer" });
  assert.equal(Buffer.from(name).toString("latin1"), "caf\xe9");
  assert.equal(text(await files.read("caf\udce9")), "x");
});

test("times before 1970 are kept where the runtime can", async () => {
  const built = image([[{ path: "old", content: "x", pax: { mtime: "-1.5" } }]]);
  const { report } = await client.pull(registry.serve("app:old", built), { to: directory(path) });
  if (isDeno) assert.equal(report.counts["modification-time"], 1);
  else assert.equal(lstatSync(join(path, "old"), { bigint: true }).mtimeNs, -1_500_000_000n);
});

test("whatever stands there is refused before anything is asked of the registry", async () => {
  const reference = registry.serve("app:refused", image([TREE]));
  const refused = async (path, options) => (await failure(client.pull(reference, { to: directory(path, options) }))).code;
  mkdirSync(path);
  writeFileSync(join(path, "kept"), "x");
  assert.equal(await refused(path), "destination-not-empty");
  assert.equal(await refused(path, { inPlace: true }), "destination-not-empty");
  writeFileSync(join(parent, "file"), "x");
  assert.equal(await refused(join(parent, "file")), "destination-not-directory");
  symlinkSync("root", join(parent, "symlink"));
  assert.equal(await refused(join(parent, "symlink")), "destination-symlink");
  assert.equal(await refused(join(parent, "symlink"), { force: true }), "destination-symlink");
  assert.equal(await refused("/", { force: true }), "destination-protected");
  assert.equal(await refused(process.cwd(), { force: true }), "destination-protected");
  assert.equal(await refused(".", { force: true }), "destination-protected");
  assert.equal(await refused(join(homedir(), ".", "")), "destination-not-empty");
  assert.equal(await refused(homedir(), { force: true }), "destination-protected");
  assert.equal(await refused("/proc", { force: true }), "destination-mount-point");
  assert.throws(() => directory(path, { force: true, inPlace: true }), { code: "usage" });
  assert.deepEqual(readdirSync(parent).sort(), ["file", "root", "symlink"]);
  assert.equal(registry.requests.length, 0);
});

test("force puts the new tree in the place of what stands there", async () => {
  const reference = registry.serve("app:forced", image([[{ path: "new", content: "x" }]]));
  mkdirSync(join(path, "closed"), { recursive: true });
  writeFileSync(join(path, "closed/old"), "x");
  await client.pull(reference, { to: directory(`${path}/`, { force: true }) });
  assert.deepEqual(readdirSync(path), ["new"]);
  rmSync(path, { recursive: true });
  writeFileSync(path, "a file");
  await client.pull(reference, { to: directory(path, { force: true }) });
  assert.deepEqual([readdirSync(path), readdirSync(parent)], [["new"], ["root"]]);
});

test("a missing parent is created, and removed again where nothing comes of it", async () => {
  const built = image([[{ path: "x", content: "x" }]]);
  const reference = registry.serve("app:parents", built);
  const deep = join(parent, "one/two/root");
  registry.fault = (line) => (line.includes(digestOf(built.blobs[1])) ? { flip: true } : undefined);
  assert.equal((await failure(client.pull(reference, { to: directory(deep) }))).errorClass, "integrity");
  assert.deepEqual(readdirSync(parent), []);
  registry.fault = () => undefined;
  await client.pull(reference, { to: directory(deep) });
  assert.deepEqual(readdirSync(deep), ["x"]);
});

test("a directory is filled in place, or left as it was", async () => {
  const built = image([TREE]);
  const reference = registry.serve("app:inplace", built);
  mkdirSync(path, { mode: 0o750 });
  const before = lstatSync(path);
  registry.fault = (line) => (line.includes(digestOf(built.blobs[1])) ? { flip: true } : undefined);
  await failure(client.pull(reference, { to: directory(path, { inPlace: true }) }));
  assert.deepEqual(readdirSync(path), []);
  assert.equal(lstatSync(path).mode, before.mode);
  registry.fault = () => undefined;
  await client.pull(reference, { to: directory(path, { inPlace: true }) });
  assert.equal(lstatSync(path).ino, before.ino);
  assert.equal(lstatSync(path).mtimeMs, 1_600_000_000_000);
  assert.deepEqual(readdirSync(path).sort(), ["a", "a-b", "closed", "empty", "large", "linked", "second"]);
});

test("a signal leaves nothing", async () => {
  const built = image([TREE]);
  const stop = new AbortController();
  registry.fault = (line) => (line.includes(digestOf(built.blobs[1])) ? { stall: true } : undefined);
  const pulling = client.pull(registry.serve("app:stopped", built), {
    to: directory(path),
    signal: stop.signal,
    onProgress: ({ kind }) => kind === "resolved" && setTimeout(() => stop.abort("enough"), 20),
  });
  assert.equal((await failure(pulling)).code, "aborted");
  assert.deepEqual(readdirSync(parent), []);
});

test("nothing outside is touched by a hostile image", async () => {
  const victim = join(parent, "root-evil");
  mkdirSync(victim);
  writeFileSync(join(victim, "secret"), "precious");
  const before = lstatSync(join(victim, "secret"));
  const untouched = () => {
    const now = lstatSync(join(victim, "secret"));
    assert.deepEqual([now.mode, now.mtimeMs, now.nlink, now.size], [before.mode, before.mtimeMs, before.nlink, before.size]);
    assert.deepEqual(readdirSync(victim), ["secret"]);
  };
  const refused = [
    [{ path: "../escaped", content: "x" }],
    [{ path: "hard", type: "link", target: "../root-evil/secret" }],
    [{ path: ".wh...", content: "" }],
  ];
  for (const [index, entries] of refused.entries()) {
    await failure(client.pull(registry.serve(`hostile:${index}`, image([entries])), { to: directory(path) }));
    assert.deepEqual(readdirSync(parent), ["root-evil"]);
    untouched();
  }
  const layers = [
    [{ path: "d", type: "symlink", target: victim }],
    [{ path: "d/secret", content: "changed", mode: 0o777 }, { path: "e", type: "symlink", target: "../root-evil" }],
    [{ path: "e/.wh.secret" }, { path: "e/more", content: "x" }],
  ];
  await client.pull(registry.serve("hostile:links", image(layers)), { to: directory(path) });
  untouched();
  assert.equal(readFileSync(join(path, victim, "secret"), "utf8"), "changed");
  assert.equal(readFileSync(join(path, "root-evil/more"), "utf8"), "x");
});

test("what a killed process left is removed by the next one", async () => {
  const built = image([TREE]);
  const reference = registry.serve("app:killed", built);
  for (const options of [{}, { inPlace: true }]) {
    let stalled;
    const waiting = new Promise((resolve) => (stalled = resolve));
    registry.fault = (line) => {
      if (!line.includes(digestOf(built.blobs[1]))) return undefined;
      stalled();
      return { stall: true };
    };
    const { child, result } = start("pull-child.mjs", { reference, path, options });
    await waiting;
    child.kill("SIGKILL");
    assert.equal(await result, "SIGKILL");
    const left = options.inPlace ? readdirSync(path) : readdirSync(parent);
    assert.match(left.join(), /^\.(root\.)?oci-fetcher-[0-9a-z]{6}\.js$/);
    registry.fault = () => undefined;
    await client.pull(reference, { to: directory(path, options) });
    assert.deepEqual(readdirSync(parent), ["root"]);
    assert.ok(!readdirSync(path).some((name) => name.startsWith(".oci")));
    rmSync(path, { recursive: true });
  }
});

test("an unprivileged user owns what is unpacked, and is told", { skip: !isRoot }, async () => {
  const user = 65_534;
  chownSync(parent, user, user);
  const reference = registry.serve("app:user", image([TREE]));
  const { report, code, message } = await start("pull-child.mjs", { reference, path, user }).result;
  assert.equal(code, undefined, message);
  assert.deepEqual(readdirSync(parent), ["root"]);
  const tool = lstatSync(join(path, "a/tool"));
  assert.deepEqual([tool.uid, tool.gid, tool.mode & 0o7777], [user, user, 0o755]);
  assert.equal(lstatSync(join(path, "closed")).mode & 0o7777, 0);
  assert.equal(report.counts["special-mode"], 2);
  assert.equal(report.counts.ownership, 11);
  // Ownership by root is only counted.
  assert.deepEqual(report.skipped.filter(({ what }) => what === "ownership").map(({ path }) => path).sort(), ["a", "a/file"]);
  const again = await start("pull-child.mjs", { reference, path, user, options: { force: true } }).result;
  assert.equal(again.code, undefined, again.message);
  const foreign = await start("pull-child.mjs", { reference, path: "/usr/x/root", user }).result;
  assert.deepEqual([foreign.code, foreign.errorClass], ["parent-unwritable", "local"]);
  assert.match(foreign.advice, /inPlace/);
  assert.ok(!existsSync("/usr/x"));
});

test("several layers and a selection", async () => {
  const reference = registry.serve("app:selected", image([TREE, [{ path: "a/.wh.tool" }, { path: "a/more", content: "m" }]]));
  await client.pull(reference, { to: directory(path), path: "a" });
  assert.deepEqual(readdirSync(path), ["a"]);
  assert.deepEqual(readdirSync(join(path, "a")).sort(), ["file", "link", "more", "out"]);
});
