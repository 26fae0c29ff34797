import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, memory } from "../dist/entry/node.js";
import { digestOf, image, tar } from "./image.mjs";
import { startRegistry } from "./registry.mjs";

let registry;

before(async () => (registry = await startRegistry()));
after(() => registry.close());

const client = new Client({ cache: false, auth: "anonymous" });

test("holes are read as zeros, whole and in pieces", async () => {
  const content = Buffer.concat([Buffer.alloc(1 << 20), Buffer.from("middle"), Buffer.alloc(700_000), Buffer.from("end"), Buffer.alloc(5)]);
  const sparse = sparseTar("sparse", content.length, [[1 << 20, Buffer.from("middle")], [(1 << 20) + 700_006, Buffer.from("end")]]);
  const pulled = await client.pull(registry.serve("sparse:1", image([[{ path: "before", content: "x" }], sparse])));
  assert.ok(content.equals(Buffer.from(await pulled.files.read("sparse"))));
  const pieces = await collect(await pulled.files.open("sparse"));
  assert.ok(pieces.length > 3);
  assert.ok(content.equals(Buffer.concat(pieces)));
  pulled.close();
});

test("a stream reads no further than it is asked to", async () => {
  const pulled = await client.pull(registry.serve("large:1", image([[{ path: "large", content: Buffer.alloc(3 << 20, 1) }]])));
  const reader = (await pulled.files.open("large")).getReader();
  const { value } = await reader.read();
  assert.ok(value.length < 3 << 20);
  await reader.cancel();
  const walk = pulled.files.walk();
  assert.equal((await walk.next()).value.path, "");
  await walk.return();
  pulled.close();
});

test("layers that repeat are fetched and decoded once", async () => {
  const repeated = [{ path: "a", content: "a" }];
  const built = image([repeated, [{ path: ".wh.a" }], repeated]);
  registry.requests.length = 0;
  const pulled = await client.pull(registry.serve("repeated:1", built), { to: memory() });
  assert.equal(Buffer.from(await pulled.files.read("a")).toString(), "a");
  assert.equal(registry.requests.filter((line) => line.includes(digestOf(built.blobs[1]))).length, 1);
  pulled.close();
});

test("symlinks never lead out of the image", async () => {
  const pulled = await client.pull(
    registry.serve(
      "links:1",
      image([
        [
          { path: "up", type: "symlink", target: "../../../etc" },
          { path: "absolute", type: "symlink", target: "/etc/inside" },
          { path: "etc/inside", content: "inside" },
          { path: "one", type: "symlink", target: "two" },
          { path: "two", type: "symlink", target: "one" },
        ],
      ]),
    ),
  );
  assert.equal(Buffer.from(await pulled.files.read("up/inside")).toString(), "inside");
  assert.equal(Buffer.from(await pulled.files.read("absolute")).toString(), "inside");
  await assert.rejects(pulled.files.stat("../../etc/passwd"), { code: "unsafe-name", errorClass: "usage" });
  await assert.rejects(pulled.files.read("one"), { code: "too-many-symlinks" });
  pulled.close();
});

test("names that are not UTF-8 can be read and given back", async () => {
  const pulled = await client.pull(registry.serve("names:1", image([[{ path: "odd\xff", content: "odd" }]])));
  const [entry] = await pulled.files.readdir("");
  assert.equal(entry.path, "odd\udcff");
  assert.equal(Buffer.from(await pulled.files.read(entry.path)).toString(), "odd");
  pulled.close();
});

/** Makes a tar with one sparse file in the old GNU form, of at most four runs. */
function sparseTar(path, size, runs) {
  const data = Buffer.concat(runs.map(([, bytes]) => bytes));
  const bytes = tar([{ path, content: data }]);
  const header = bytes.subarray(0, 512);
  header.write("S", 156);
  header.write("ustar  \0", 257, "latin1");
  header.fill(0, 345, 512);
  runs.forEach(([offset, run], index) => {
    header.write(offset.toString(8).padStart(11, "0"), 386 + index * 24);
    header.write(run.length.toString(8).padStart(11, "0"), 398 + index * 24);
  });
  header.write(size.toString(8).padStart(11, "0"), 483);
  header.write("        ", 148);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return bytes;
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return chunks;
}
