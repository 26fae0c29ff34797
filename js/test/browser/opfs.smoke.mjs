// Pulls into the origin private file system of real Chromium: `node --test test/browser/opfs.smoke.mjs`,
// after `npm run build`, with the packages of test/package.json installed.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { randomBytes } from "node:crypto";
import { image } from "../image.mjs";
import { startChromium, startOpenRegistry, startPages } from "./page.mjs";

let chromium;
let pages;
let page;
let registry;

before(async () => {
  registry = await startOpenRegistry();
  pages = await startPages();
  chromium = await startChromium();
});
after(async () => {
  await chromium?.close();
  await pages?.close();
  await registry?.close();
});
beforeEach(async () => {
  registry.fault = () => undefined;
  registry.requests.length = 0;
  page = await open("/blank");
});
afterEach(async () => {
  await page.evaluate(async () => {
    for await (const name of (await navigator.storage.getDirectory()).keys()) {
      await (await navigator.storage.getDirectory()).removeEntry(name, { recursive: true });
    }
  });
  for (const open of chromium.context.pages()) await open.close();
});

const LARGE = randomBytes(3_000_000);
const BASE = [
  { path: "etc/", type: "directory" },
  { path: "etc/name", content: "base\n" },
  { path: "etc/gone", content: "soon\n" },
  { path: "bin", type: "symlink", target: "usr/bin" },
  { path: "usr/bin/tool", content: "#!/bin/sh\n", mode: 0o4755 },
  { path: "usr/bin/alias", type: "link", target: "usr/bin/tool" },
];
const TOP = [{ path: "etc/.wh.gone" }, { path: "etc/name", content: "top\n" }, { path: "large", content: LARGE }];

test("an image stays, is listed, opened and removed", async () => {
  const reference = registry.serve("app:1", image([BASE, TOP]));
  const first = await page.evaluate(pullAndRead, { reference });
  assert.deepEqual(first, {
    paths: ["", "bin", "etc", "etc/name", "large", "usr", "usr/bin", "usr/bin/alias", "usr/bin/tool"],
    name: "top\n",
    large: LARGE.length,
    tool: "#!/bin/sh\n",
    warnings: [],
    workers: 1,
  });
  assert.equal(registry.count(/GET .*\/blobs\//), 3);
  await page.reload();
  await prepare(page);
  const stored = await page.evaluate(async () => {
    const { Client } = window.fetcher;
    const client = new Client({ offline: true });
    const images = await client.images();
    const opened = await client.open(images[0].name);
    const large = new Uint8Array(await opened.files.read("large"));
    const sum = large.reduce((sum, byte) => (sum + byte) % 65_521, 0);
    const { digest, config, counts } = opened;
    opened.close();
    return { images, sum, digest, env: config.env, files: counts.files };
  });
  assert.equal(stored.images.length, 1);
  assert.equal(stored.images[0].name, reference);
  assert.equal(stored.images[0].digest, stored.digest);
  assert.equal(stored.sum, LARGE.reduce((sum, byte) => (sum + byte) % 65_521, 0));
  assert.deepEqual([stored.env, stored.files], [["A=b"], 3]);
  const left = await page.evaluate(async (name) => {
    const client = new window.fetcher.Client();
    return [await client.remove(name), await client.remove(name), await client.images(), await window.files()];
  }, reference);
  assert.deepEqual(left, [true, false, [], []]);
});

test("layers that are there are shared, and go with the last image that uses them", async () => {
  const one = registry.serve("one:1", image([BASE]));
  const two = registry.serve("two:1", image([BASE, TOP]));
  const kept = await page.evaluate(async ([one, two]) => {
    const { Client, opfs } = window.fetcher;
    const client = new Client();
    (await client.pull(one, { to: opfs("one") })).close();
    (await client.pull(two, { to: opfs("two") })).close();
    await client.remove("one");
    const opened = await client.open("two");
    const tool = new TextDecoder().decode(await opened.files.read("bin/tool"));
    await client.remove("two");
    const whileOpen = (await window.files()).length;
    opened.close();
    await window.until(async () => (await window.files()).length === 0);
    return [tool, whileOpen];
  }, [one, two]);
  assert.deepEqual(kept, ["#!/bin/sh\n", 6]);
  assert.equal(registry.count(/GET .*\/blobs\//), 4, "two configs and two layers");
});

test("a name that is pulled again holds the new image", async () => {
  const one = registry.serve("app:old", image([BASE]));
  const two = registry.serve("app:new", image([TOP]));
  const result = await page.evaluate(async ([one, two]) => {
    const { Client, opfs } = window.fetcher;
    const client = new Client();
    (await client.pull(one, { to: opfs("app") })).close();
    (await client.pull(two, { to: opfs("app") })).close();
    const images = await client.images();
    await window.until(async () => (await window.files()).length === 4);
    return images.map(({ name, references }) => [name, references]);
  }, [one, two]);
  assert.deepEqual(result, [["app", [two]]]);
});

test("two pages pull the same image at once", async () => {
  const other = await open("/blank");
  const reference = registry.serve("app:both", image([BASE, TOP]));
  const results = await Promise.all([page, other].map((one) => one.evaluate(pullAndRead, { reference })));
  assert.deepEqual(results[0].paths, results[1].paths);
  assert.deepEqual([results[0].large, results[1].large], [LARGE.length, LARGE.length]);
  const [images, left] = await page.evaluate(async () => {
    const images = await new window.fetcher.Client().images();
    await window.until(async () => (await window.files()).length <= 7);
    return [images.length, await window.files()];
  });
  assert.equal(images, 1);
  assert.equal(left.length, 7, `two packs, two indexes, two markers and a record: ${left}`);
});

test("a page that is closed half-way loses only unfinished layers", async () => {
  const whole = image([BASE, TOP]);
  const reference = registry.serve("app:cut", whole);
  registry.fault = (line) => (line.includes(whole.layers[1].digest) ? { stall: true } : undefined);
  await page.evaluate(async (reference) => {
    const { Client, opfs } = window.fetcher;
    void new Client().pull(reference, { to: opfs() });
    await window.until(async () => (await window.files()).some((name) => name.endsWith(".json")));
  }, reference);
  await page.reload();
  await prepare(page);
  registry.fault = () => undefined;
  registry.requests.length = 0;
  const result = await page.evaluate(pullAndRead, { reference });
  assert.equal(result.name, "top\n");
  assert.equal(registry.count(new RegExp(whole.layers[0].digest)), 0);
  const left = await page.evaluate(() => window.files());
  assert.equal(left.length, 7, left.join(" "));
});

test("a layer whose index is damaged, or of another version, is fetched anew", async () => {
  const whole = image([BASE, TOP]);
  const reference = registry.serve("app:older", whole);
  await page.evaluate(pullAndRead, { reference });
  await page.evaluate(async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("oci-fetcher");
    const layers = await root.getDirectoryHandle("layers");
    for (const name of await Array.fromAsync(layers.keys())) {
      if (!name.endsWith(".index")) continue;
      const handle = await layers.getFileHandle(name);
      const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      bytes[4] ^= 1;
      const stream = await handle.createWritable();
      await stream.write(bytes);
      await stream.close();
    }
  });
  const failed = await page.evaluate((name) => new window.fetcher.Client().open(name).catch(({ code }) => code), reference);
  assert.equal(failed, "io");
  registry.requests.length = 0;
  const again = await page.evaluate(pullAndRead, { reference });
  assert.equal(again.name, "top\n");
  assert.equal(registry.count(/GET .*\/blobs\//), 3);
});

test("a wrong layer fails, and nothing is visible", async () => {
  const reference = registry.serve("app:wrong", image([BASE, TOP], { diffIds: [`sha256:${"0".repeat(64)}`, `sha256:${"1".repeat(64)}`] }));
  const failed = await page.evaluate(pullAndFail, { reference });
  assert.deepEqual([failed.code, failed.errorClass], ["diff-id-mismatch", "integrity"]);
  assert.deepEqual([failed.images, failed.files], [0, []]);
});

test("an abort ends a pull at once", async () => {
  const whole = image([BASE, TOP]);
  const reference = registry.serve("app:aborted", whole);
  registry.fault = (line) => (line.includes(whole.layers[1].digest) ? { stall: true } : undefined);
  const failed = await page.evaluate(pullAndFail, { reference, abort: true });
  assert.deepEqual([failed.code, failed.errorClass], ["aborted", "interrupted"]);
  assert.equal(failed.images, 0);
  // The stall lasts until the end of the test.
  assert.ok(failed.late < 5000, `${failed.late} ms`);
  assert.deepEqual(failed.files.filter((name) => !name.includes(".json")).length, 2, "the finished layer waits");
});

test("a store without room gives quota-exceeded, and nothing half visible", async () => {
  const session = await chromium.context.newCDPSession(page);
  await session.send("Storage.overrideQuotaForOrigin", { origin: pages.origin, quotaSize: 2_000_000 });
  try {
    const reference = registry.serve("app:full", image([BASE, TOP]));
    const failed = await page.evaluate(pullAndFail, { reference });
    assert.deepEqual([failed.code, failed.errorClass], ["quota-exceeded", "local"]);
    assert.deepEqual([failed.images, failed.files], [0, []]);
  } finally {
    await session.send("Storage.overrideQuotaForOrigin", { origin: pages.origin });
  }
});

test("without Workers the page's own thread decodes, and says so", async () => {
  const strict = await open("/strict");
  const reference = registry.serve("app:strict", image([BASE, TOP]));
  const result = await strict.evaluate(pullAndRead, { reference });
  assert.equal(result.large, LARGE.length);
  assert.equal(result.warnings.length, 1);
});

test("a Worker that dies fails its layers, and another takes its place", async () => {
  const whole = image([BASE, TOP]);
  const reference = registry.serve("app:dies", whole);
  registry.fault = (line, nth) => (line.includes(whole.layers[1].digest) && nth === 1 ? { stall: true } : undefined);
  const result = await page.evaluate(async (reference) => {
    const { Client, opfs } = window.fetcher;
    const client = new Client({ retry: { attempts: 1 } });
    const failing = client.pull(reference, { to: opfs() }).catch((error) => error.code);
    await window.until(async () => (await window.files()).filter((name) => name.endsWith(".pack")).length === 2);
    window.workers[0].dispatchEvent(new ErrorEvent("error", { message: "out of memory" }));
    const code = await failing;
    const pulled = await client.pull(reference, { to: opfs() });
    const name = new TextDecoder().decode(await pulled.files.read("etc/name"));
    pulled.close();
    return [code, name, window.workers.length];
  }, reference);
  assert.deepEqual(result, ["panic", "top\n", 2]);
});

test("a file an entry can be had too", async () => {
  const odd = [...BASE, { path: "etc/a\\b:c", content: "odd\n" }, { path: "README", content: "1" }, { path: "readme", content: "2" }];
  const reference = registry.serve("app:files", image([odd, TOP.slice(0, 2)]));
  const result = await page.evaluate(async (reference) => {
    const { Client, opfs } = window.fetcher;
    const client = new Client();
    const read = async ({ files }) => {
      const text = async (path) => new TextDecoder().decode(await files.read(path));
      return [await text("etc/name"), await text("etc/a\\b:c"), await text("README"), await text("readme"), await text("bin/alias")];
    };
    const pulled = await client.pull(reference, { to: opfs("files", { layout: "files" }) });
    const one = await read(pulled);
    pulled.close();
    const opened = await client.open("files");
    const two = await read(opened);
    opened.close();
    const files = await window.files();
    await client.remove("files");
    await window.until(async () => (await window.files()).length === 0);
    return [one, two, files.map((path) => path.replace(/^trees\/[^/]+\//, "")).sort()];
  }, reference);
  assert.deepEqual(result[0], ["top\n", "odd\n", "1", "2", "#!/bin/sh\n"]);
  assert.deepEqual(result[1], result[0]);
  assert.deepEqual(
    result[2].filter((path) => path.startsWith("files/")),
    ["files/README", "files/etc/a%5cb%3ac", "files/etc/name", "files/readme", "files/usr/bin/alias"].sort(),
  );
});

test("memory is filled by Workers too", async () => {
  const reference = registry.serve("app:memory", image([BASE, TOP]));
  const result = await page.evaluate(async (reference) => {
    const { Client, memory } = window.fetcher;
    const pulled = await new Client().pull(reference, { to: memory() });
    const large = await pulled.files.read("large");
    return [large.length, large[12_345], new TextDecoder().decode(await pulled.files.read("etc/name")), window.workers.length];
  }, reference);
  assert.deepEqual(result, [LARGE.length, LARGE[12_345], "top\n", 1]);
});

test("a blob that was cut off goes on where it stopped", async () => {
  const content = randomBytes(12_000_000);
  const whole = image([[{ path: "large", content }]]);
  const reference = registry.serve("app:cached", whole);
  // A browser drops what a page has not read yet when a connection breaks, so this one only goes quiet.
  registry.fault = (line) => (line.includes(whole.layers[0].digest) ? { stallAfter: 9_000_000 } : undefined);
  await page.evaluate(async (reference) => {
    const { Client, opfsCache } = window.fetcher;
    void new Client({ cache: opfsCache() }).pull(reference);
    await window.until(async () => (await window.files()).some((name) => /cache\/blobs\/.*\/1$/.test(name)));
  }, reference);
  await page.reload();
  await prepare(page);
  let range;
  registry.fault = (line, nth, request) => {
    if (line.includes(whole.layers[0].digest)) range ??= request.headers.range;
    return undefined;
  };
  const result = await page.evaluate(async (reference) => {
    const { Client, opfsCache } = window.fetcher;
    const cache = opfsCache();
    const length = async (client) => (await (await client.pull(reference)).files.read("large")).length;
    const once = await length(new Client({ cache }));
    return [once, await length(new Client({ cache, offline: true }))];
  }, reference);
  assert.deepEqual(result, [content.length, content.length]);
  assert.match(range, /^bytes=(4194304|8388608)-$/, "the second piece was there, but maybe not written yet");
});

test("the Cache interface keeps whole blobs", async () => {
  const reference = registry.serve("app:edge", image([BASE, TOP]));
  const result = await page.evaluate(async (reference) => {
    const { Client, edgeCache } = window.fetcher;
    const cache = edgeCache();
    await new Client({ cache }).pull(reference);
    const pulled = await new Client({ cache, offline: true }).pull(reference);
    return (await pulled.files.read("large")).length;
  }, reference);
  assert.equal(result, LARGE.length);
});

async function open(path) {
  const page = await chromium.context.newPage();
  page.on("console", (message) => console.log("page:", message.text()));
  page.on("pageerror", (error) => console.log("page:", error));
  await page.goto(`${pages.origin}${path}`);
  await prepare(page);
  return page;
}

/** Loads the package into the page, and what the tests look at. */
async function prepare(page) {
  await page.evaluate(async () => {
    window.workers = [];
    window.Worker = class extends Worker {
      constructor(...parts) {
        super(...parts);
        window.workers.push(this);
      }
    };
    /** Every file of the store, by its path. */
    window.files = async () => {
      const found = [];
      const walk = async (directory, path) => {
        for await (const [name, handle] of directory) {
          if (handle.kind === "file") found.push(`${path}${name}`);
          else await walk(handle, `${path}${name}/`);
        }
      };
      try {
        await walk(await (await navigator.storage.getDirectory()).getDirectoryHandle("oci-fetcher"), "");
      } catch (error) {
        if (error.name !== "NotFoundError") throw error;
      }
      return found;
    };
    window.until = async (holds) => {
      for (let tries = 0; !(await holds()); tries += 1) {
        if (tries === 1500) throw new Error(`it never came: ${await window.files()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    window.fetcher = await import("/dist/entry/browser.js");
  });
}

async function pullAndRead({ reference }) {
  const { Client, opfs } = window.fetcher;
  const client = new Client();
  const pulled = await client.pull(reference, { to: opfs() });
  const paths = [];
  for await (const { path } of pulled.files.walk()) paths.push(path);
  const text = async (path) => new TextDecoder().decode(await pulled.files.read(path));
  const result = {
    paths,
    name: await text("etc/name"),
    large: (await pulled.files.read("large")).length,
    tool: await text("bin/alias"),
    warnings: pulled.warnings,
    workers: window.workers.length,
  };
  pulled.close();
  client.close();
  return result;
}

async function pullAndFail({ reference, abort }) {
  const { Client, opfs } = window.fetcher;
  const client = new Client({ retry: { attempts: 1 } });
  const controller = new AbortController();
  let abortedAt;
  if (abort) {
    const first = window.until(async () => (await window.files()).some((name) => /^layers.*\.json$/.test(name)));
    void first.then(() => {
      abortedAt = performance.now();
      controller.abort();
    });
  }
  try {
    await client.pull(reference, { to: opfs(), signal: controller.signal });
    return { code: "none" };
  } catch ({ code, errorClass, message }) {
    const late = performance.now() - abortedAt;
    return { code, errorClass, message, late, images: (await client.images()).length, files: await window.files() };
  }
}
