// The packed tarball itself: what it holds, and what publint and "are the types wrong" say of it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { brought, PACKAGE } from "../harness/programs.mjs";
import { pack, project, temporary } from "../harness/project.mjs";
import { attempt, run } from "../harness/run.mjs";

const { folder, remove } = temporary();
let packed;
let place;
before(async () => {
  packed = await pack(folder);
  place = await project(path.join(folder, "project"), packed.tarball, []);
});
after(remove);

test("it holds what is needed, and nothing else", (t) => {
  const strange = packed.files.filter((file) => !/^(dist\/.*\.(js|d\.ts)(\.map)?|src\/.*\.ts|wasm\/oci_fetcher.*)$/.test(file));
  assert.deepEqual(strange.sort(), ["LICENSE", "README.md", "package.json"]);
  for (const file of ["wasm/oci_fetcher_bg.wasm", "dist/worker.js", "dist/entry/browser.js.map"]) {
    assert.ok(packed.files.includes(file), `${file} is missing`);
  }
  t.diagnostic(`${packed.files.length} files, ${packed.size} bytes packed, ${packed.unpackedSize} unpacked`);
});

test("whatever its exports name is there", () => {
  const named = [];
  const collect = (value) => (typeof value === "string" ? named.push(value) : Object.values(value).forEach(collect));
  collect(place.manifest.exports);
  const missing = named.filter((name) => !packed.files.includes(name.replace(/^\.\//, "")));
  assert.deepEqual(missing, []);
});

test("its source maps lead to sources that it holds", () => {
  for (const file of packed.files.filter((file) => file.endsWith(".js.map"))) {
    const { sources, sourcesContent } = JSON.parse(readFileSync(path.join(place.installed, file), "utf8"));
    for (const source of sources) {
      const target = path.posix.normalize(path.posix.join(path.posix.dirname(file), source));
      assert.ok(sourcesContent !== undefined || packed.files.includes(target), `${file} names ${target}`);
    }
  }
});

test("it needs no other package", () => {
  const { dependencies, peerDependencies, optionalDependencies, scripts } = place.manifest;
  assert.deepEqual([dependencies, peerDependencies, optionalDependencies], [undefined, undefined, undefined]);
  assert.equal(scripts?.install ?? scripts?.postinstall ?? scripts?.preinstall, undefined);
});

test("publint has nothing to say", async () => {
  const said = await run(brought("publint"), [packed.tarball, "--strict"], { cwd: PACKAGE });
  assert.match(said, /All good!/);
});

test("the types are right wherever they are resolved as ESM", async () => {
  const ended = await attempt(brought("attw"), [packed.tarball, "--profile", "esm-only", "--no-color"], { cwd: PACKAGE });
  assert.equal(ended.code, 0, ended.stdout.toString("utf8"));
});
