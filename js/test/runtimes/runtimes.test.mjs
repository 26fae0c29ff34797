// The packed package, installed into empty projects and run in Node 20, 24 and 26, Deno, Bun and workerd.
// Run it with Node 24: node --test runtimes/
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Native } from "../harness/native.mjs";
import { brought, node } from "../harness/programs.mjs";
import { pack, project, temporary } from "../harness/project.mjs";
import { attempt } from "../harness/run.mjs";
import { startServers } from "../harness/servers.mjs";
import { runInWorkerd } from "./workerd.mjs";

/** What no call of these runtimes can set, so that a directory does not hold it. */
const CANNOT_HOLD = ["xattrs", "nanoseconds", "devices"];

/** Gigabytes in each version of Node would tell nothing more than in one. */
const WITH_DEBIAN = ["Node 24", "Deno", "Bun"];

const RUNTIMES = {
  "Node 20": [node(20)],
  "Node 24": [node(24)],
  "Node 26": [node(26)],
  Deno: [brought("deno"), "run", "--allow-all", "--no-remote", "--node-modules-dir=manual"],
  Bun: [brought("bun"), "run"],
};

const here = path.dirname(fileURLToPath(import.meta.url));
const { folder, remove } = temporary();
let servers;
let given;
let packed;

before(async () => {
  servers = await startServers();
  packed = await pack(folder);
  const native = new Native(path.join(folder, "native"));
  const at = (name) => `${servers.addresses.open}/${name}`;
  const awkward = await native.pull(at("awkward:1"));
  const debian = await native.pull(at("debian:1"));
  const expected = {
    awkward: await native.list(awkward),
    onDisk: {
      awkward: await native.list(awkward, CANNOT_HOLD),
      plain: await native.listing(at("plain:1"), { without: CANNOT_HOLD }),
    },
    awkwardTar: await native.tarDigest(at("awkward:1")),
    plain: await native.listing(at("plain:1")),
    merged: await native.listing([at("plain:1"), at("awkward:1")]),
    debian: (await native.list(debian)).digest,
    debianOnDisk: (await native.list(debian, CANNOT_HOLD)).digest,
  };
  given = { ...servers.addresses, expected, cannotHold: CANNOT_HOLD, nativeCache: native.cache, compiles: true };
});

after(async () => {
  await servers?.stop();
  remove();
});

for (const [name, command] of Object.entries(RUNTIMES)) {
  test(name, async (t) => {
    const place = await project(path.join(folder, name.replace(" ", "-")), packed.tarball, [
      path.join(here, "main.mjs"),
      path.join(here, "../scenario"),
    ]);
    const home = makeHome(path.join(place.folder, "home"), given);
    const data = path.join(place.folder, "data");
    mkdirSync(data);
    // Deno can write no name that is not UTF-8, and says so.
    const onDisk = name === "Deno" ? "plain" : "awkward";
    const told = { ...given, folder: data, helperMark: home.mark, onDisk, withDebian: WITH_DEBIAN.includes(name) };
    writeFileSync(path.join(place.folder, "given.json"), JSON.stringify(told));
    await servers.renew();
    const [program, ...options] = command;
    const ended = await attempt(program, [...options, "main.mjs", "given.json"], { cwd: place.folder, env: home.env });
    assert.equal(ended.code, 0, ended.stderr);
    await report(t, name, JSON.parse(ended.stdout.toString("utf8").trim().split("\n").at(-1)));
    await hostsDirectory(t, data, onDisk);
  });
}

test("workerd", async (t) => {
  const place = await project(path.join(folder, "workerd"), packed.tarball, [
    path.join(here, "worker.mjs"),
    path.join(here, "../scenario"),
  ]);
  await servers.renew();
  await report(t, "workerd", await runInWorkerd(place, { ...given, compiles: false }));
});

/** Makes a test of each step, and prints what it found out. */
async function report(t, runtime, { steps }) {
  for (const { name, milliseconds, value, error } of steps) {
    await t.test(name, () => assert.ok(error === undefined, error));
    if (value !== undefined) t.diagnostic(`${runtime}: ${name}: ${JSON.stringify(value)}, ${milliseconds} ms`);
  }
}

/** Has the native host read what the runtime wrote. */
async function hostsDirectory(t, data, onDisk) {
  const native = new Native(path.join(data, "native"));
  await t.test("the native host lists the directory as its own", async () => {
    const listed = await native.list(path.join(data, onDisk), CANNOT_HOLD);
    assert.deepEqual(listed.lines, given.expected.onDisk[onDisk].lines);
  });
  await t.test("the native host unpacks the layout", async () => {
    const { manifests } = JSON.parse(await native.run(["manifest", `oci:${path.join(data, "layout")}:${given.open}/platforms:1`]));
    assert.equal(manifests.length, 6);
    const listed = await native.listing(`oci:${path.join(data, "layout")}:${given.open}/awkward:1`);
    assert.deepEqual(listed.lines, given.expected.awkward.lines);
  });
}

/**
 * Makes a home folder: docker's config has the account of one registry, and a helper that knows the
 * other's.
 */
function makeHome(folder, { tokens, hidden, account }) {
  const mark = path.join(folder, "asked");
  const bin = path.join(folder, "bin");
  mkdirSync(path.join(folder, ".docker"), { recursive: true });
  mkdirSync(bin);
  const auth = Buffer.from(`${account.username}:${account.password}`).toString("base64");
  const config = { auths: { [hidden]: { auth } }, credHelpers: { [tokens]: "of-the-test" } };
  writeFileSync(path.join(folder, ".docker/config.json"), JSON.stringify(config));
  const answer = JSON.stringify({ ServerURL: tokens, Username: account.username, Secret: account.password });
  const helper = path.join(bin, "docker-credential-of-the-test");
  writeFileSync(helper, `#!/bin/sh\ncat > '${mark}'\nprintf '%s' '${answer}'\n`);
  chmodSync(helper, 0o755);
  return { mark, env: { PATH: `${bin}:${process.env.PATH}`, HOME: folder, DENO_NO_UPDATE_CHECK: "1" } };
}
