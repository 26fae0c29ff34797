import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, into } from "../dist/entry/node.js";
import { image } from "./image.mjs";
import { startRegistry } from "./registry.mjs";

let registry;

before(async () => (registry = await startRegistry()));
after(() => registry.close());

const client = new Client({ cache: false, auth: "anonymous" });
const TREE = [
  { path: "d/", type: "directory", mode: 0o700 },
  { path: "d/file", content: "content" },
  { path: "same", type: "link", target: "d/file" },
  { path: "link", type: "symlink", target: "/d" },
  { path: "fifo", type: "fifo" },
  { path: "twin", type: "link", target: "fifo" },
  { path: "empty" },
];

/** Writes down what it is asked to make. */
function recorder(parts = {}) {
  const made = [];
  return {
    made,
    directory: ({ path, mode }) => void made.push(`directory ${path} ${mode.toString(8)}`),
    file: async ({ path }, content) => void made.push(`file ${path} ${await new Response(content).text()}`),
    symlink: ({ path, linkTarget }) => void made.push(`symlink ${path} ${linkTarget}`),
    complete: () => void made.push("complete"),
    abort: () => void made.push("abort"),
    ...parts,
  };
}

test("an object gets the tree, parents first", async () => {
  const reference = registry.serve("app:1", image([TREE, [{ path: "d/.wh.none" }]]));
  const target = recorder();
  const { report, files } = await client.pull(reference, { to: into(target) });
  assert.deepEqual(target.made, [
    "directory  755",
    "directory d 700",
    "file d/file content",
    "file empty ",
    "symlink link /d",
    "file same content",
    "complete",
  ]);
  assert.deepEqual(report.counts, { fifo: 1, "hard-link": 1 });
  assert.equal(Buffer.from(await files.read("link/file")).toString(), "content");

  const whole = recorder();
  const linked = {
    ...whole,
    hardLink: ({ path, hardLinkTo }) => void whole.made.push(`hard link ${path} ${hardLinkTo}`),
    special: ({ path, kind }) => void whole.made.push(`${kind} ${path}`),
  };
  const pulled = await client.pull(reference, { to: into(linked) });
  assert.deepEqual(pulled.report.counts, {});
  assert.deepEqual(whole.made.slice(4), ["fifo fifo", "symlink link /d", "hard link same d/file", "hard link twin fifo", "complete"]);
});

test("it is told when nothing comes of it", async () => {
  const reference = registry.serve("app:2", image([TREE]));
  const careless = recorder({ file: () => undefined });
  await assert.rejects(client.pull(reference, { to: into(careless) }), { code: "usage" });
  assert.equal(careless.made.at(-1), "abort");
  const failing = recorder({ symlink: () => Promise.reject(new Error("no links here")) });
  await assert.rejects(client.pull(reference, { to: into(failing) }), { message: "no links here" });
  assert.equal(failing.made.at(-1), "abort");
  const picky = recorder({ file: ({ path }, content) => content.cancel(path) });
  await client.pull(reference, { to: into(picky) });
  assert.equal(picky.made.at(-1), "complete");
});
