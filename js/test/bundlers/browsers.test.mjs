// The packed package, bundled by Vite, esbuild and webpack, in real Chromium and Firefox.
// Run it with Node 24: node --test bundlers/
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { ready, startChromium, startFirefox } from "./browsers.mjs";
import { BUNDLERS, weigh } from "./build.mjs";
import { makeSetting } from "./setting.mjs";
import { startWebKit } from "./webkit.mjs";

/** Bytes by gzip that all a page loads may have: what it has, so that it gets no heavier. The aim is 150,000. */
const WEIGHT_MAX = 400_000;
/** Bytes that all WebAssembly memories may have together. */
const MEMORY_MAX = 64 << 20;

/** Steps that tell whether a bundle works; the others do not depend on the bundler. */
const OF_BUNDLES = [
  "an image in memory lists as the native host's directory",
  "an image in OPFS lists as the native host's directory",
  "refused: flipped",
  "removed, it is gone",
];

let setting;
before(async () => (setting = await makeSetting()));
after(async () => setting?.end());

for (const start of [startChromium, startFirefox]) {
  test(start.name.slice("start".length), async (t) => {
    const browser = await start(setting.folder);
    t.diagnostic(`${browser.name} ${browser.version ?? ""}`);
    try {
      for (const bundler of Object.keys(BUNDLERS)) await t.test(bundler, (t) => bundles(t, browser, bundler));
      await t.test("a registry without CORS, through the proxy", () => throughProxy(browser));
      await t.test("300 MB into OPFS", (t) => largeImage(t, browser));
      await t.test("a reload half-way loses only unfinished blobs", (t) => reload(t, browser));
      await t.test("an abort half-way leaves nothing visible", () => abort(browser));
      await t.test("the Debian image, read back through OPFS", (t) => debian(t, browser));
      if (browser.name === "Chromium") await t.test("a quota that is exceeded", (t) => quota(t, browser));
    } finally {
      await browser.close();
    }
  });
}

test("WebKitGTK loads the module, and pulls an image", async (t) => {
  const browser = await startWebKit();
  try {
    t.diagnostic(`WebKitGTK ${browser.version}`);
    await browser.open(`${setting.pages.origin}/Vite/page/index.html`);
    const pull = `
      while (globalThis.underTest === undefined) await new Promise((resolve) => setTimeout(resolve, 50));
      return globalThis.underTest.run(["reading", "failures"], given, given.only);`;
    const { value, error } = await browser.evaluate(pull, { ...setting.given, only: OF_BUNDLES });
    assert.equal(error, undefined);
    assert.equal(value.length, 2);
    for (const { name, error } of value) await t.test(name, () => assert.ok(error === undefined, error));
  } finally {
    await browser.close();
  }
});

async function bundles(t, browser, bundler) {
  await setting.servers.renew();
  const page = await openPage(browser, `${bundler}/probed/index.html`);
  const only = bundler === "Vite" ? undefined : OF_BUNDLES;
  const groups = ["reading", "failures", "opfs"];
  const steps = await page.evaluate(
    ([groups, given, only]) => globalThis.underTest.run(groups, given, only),
    [groups, setting.given, only],
  );
  for (const { name, error } of steps) await t.test(name, () => assert.ok(error === undefined, error));
  await t.test("layers are decoded in Workers", async () => {
    const instances = await page.evaluate(() => globalThis.wasmProbe.instances.size);
    assert.ok(instances >= 2, `${instances} instances of the module`);
  });
  await page.close();
  if (browser.name === "Chromium") await t.test("it weighs little", (t) => weight(t, browser, bundler));
}

/** Weighs what the smallest page asks for, until an image is in OPFS. */
async function weight(t, browser, bundler) {
  const folder = `${bundler}/small`;
  setting.pages.requests.length = 0;
  const page = await browser.open(`${setting.pages.origin}/${folder}/index.html`);
  const digest = await page.evaluate((reference) => globalThis.pull(reference), `${setting.given.open}/plain:1`);
  assert.equal(digest, setting.given.images["plain:1"]);
  await page.close();
  const asked = new Set(setting.pages.requests.map((request) => path.relative(`/${folder}`, request)));
  const files = weigh(path.join(setting.out, folder)).filter(({ name }) => asked.has(name) && /\.(m?js|wasm)$/.test(name));
  const gzip = files.reduce((sum, file) => sum + file.gzip, 0);
  const parts = files.map(({ name, gzip }) => `${path.basename(name)} ${gzip}`).join(", ");
  t.diagnostic(`${bundler}: a page loads ${gzip} bytes by gzip: ${parts}`);
  // esbuild leaves the module's address alone, so that the embedded one is loaded, a third heavier.
  if (bundler === "esbuild") return;
  assert.ok(files.some(({ name }) => name.endsWith(".wasm")), "the module is loaded as such");
  assert.ok(gzip <= WEIGHT_MAX, `${gzip} bytes`);
}

async function throughProxy(browser) {
  const { folder } = setting.place;
  const child = spawn(process.execPath, ["proxy.mjs", setting.given.bare], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
  try {
    const [line] = await once(child.stdout, "data");
    const { address } = JSON.parse(line);
    const page = await openPage(browser);
    const { refused, digest } = await page.evaluate(
      ([reference, proxy]) => globalThis.underTest.pullThrough(reference, proxy),
      [`${setting.given.bare}/awkward:1`, address],
    );
    await page.close();
    assert.deepEqual([refused, digest], ["network/cors", setting.given.expected.awkward.digest]);
  } finally {
    child.stdin.end();
    await once(child, "close");
  }
}

async function largeImage(t, browser) {
  const page = await openPage(browser, "Vite/probed/index.html");
  const { done, memory } = await pullLarge(page, "bulk:image", "large");
  assert.equal(done.digest, setting.given.images["bulk:image"], done.message);
  const speed = Math.round((done.counts.bytes / done.milliseconds) * 10) / 10_000;
  const { late, task } = done.longestBlock;
  t.diagnostic(
    `${browser.name}: 300 MB in ${done.milliseconds} ms, ${speed} MB/s of output; main thread blocked ` +
      `${task ?? "?"} ms at the longest, a timer late by ${late} ms; ${Math.round(memory / 1e5) / 10} MB of WebAssembly memory`,
  );
  const listing = await page.evaluate(() => globalThis.underTest.listing("large"));
  t.diagnostic(`${browser.name}: listed in ${listing.milliseconds} ms`);
  assert.equal(listing.digest, setting.given.expected.bulk);
  assert.ok(memory < MEMORY_MAX, `${memory} bytes of WebAssembly memory`);
  await page.close();
}

async function reload(t, browser) {
  const page = await openPage(browser);
  await setting.servers.requests();
  await page.evaluate((reference) => globalThis.underTest.start(reference, "cut"), `${setting.given.open}/bulk:image`);
  const half = await until(page, ({ downloaded, verified, sizes }) => {
    const sum = (of) => Object.values(of).reduce((total, more) => total + more, 0);
    return verified.length >= 3 && sum(downloaded) > sum(sizes) / 2;
  });
  assert.equal(half.done, undefined, "the pull was over before the reload");
  await page.reload();
  await ready(page);
  const names = await page.evaluate(() => globalThis.underTest.names());
  assert.deepEqual(names, [], "half an image is not visible");
  const before = blobsOf((await setting.servers.requests()).open);
  const { done } = await pullLarge(page, "bulk:image", "cut");
  assert.equal(done.digest, setting.given.images["bulk:image"], done.message);
  const asked = (await setting.servers.requests()).open.filter(({ target }) => target.includes("/blobs/"));
  const again = blobsOf(asked).filter((digest) => half.verified.includes(digest));
  assert.deepEqual(again, [], "finished blobs are not asked for again");
  const bytes = asked.reduce((sum, request) => sum + request.bytes, 0);
  t.diagnostic(`${browser.name}: ${half.verified.length} of ${before.length} blobs were finished; ${bytes} bytes came after the reload`);
  const { digest } = await page.evaluate(() => globalThis.underTest.listing("cut"));
  assert.equal(digest, setting.given.expected.bulk);
  await page.close();
}

async function abort(browser) {
  const page = await openPage(browser);
  await page.evaluate((reference) => globalThis.underTest.start(reference, "ended"), `${setting.given.open}/bulk:image`);
  await until(page, ({ verified }) => verified.length >= 2);
  await page.evaluate(() => globalThis.underTest.abort());
  const { done } = await until(page, ({ done }) => done !== undefined);
  assert.deepEqual([done.errorClass, done.code], ["interrupted", "aborted"], done.message);
  assert.deepEqual(await page.evaluate(() => globalThis.underTest.names()), []);
  await page.close();
}

async function debian(t, browser) {
  const page = await openPage(browser, "Vite/probed/index.html");
  const { done, memory } = await pullLarge(page, "debian:1", "debian");
  assert.equal(done.digest, setting.given.images["debian:1"], done.message);
  const listing = await page.evaluate(() => globalThis.underTest.listing("debian"));
  t.diagnostic(
    `${browser.name}: Debian's ${done.counts.entries} entries, ${Math.round(done.counts.bytes / 1e6)} MB, in ${done.milliseconds} ms, ` +
      `listed in ${listing.milliseconds} ms; main thread blocked ${JSON.stringify(done.longestBlock)}; ` +
      `${Math.round(memory / 1e5) / 10} MB of WebAssembly memory`,
  );
  assert.equal(listing.digest, setting.given.expected.debian);
  await page.close();
}

async function quota(t, browser) {
  const page = await openPage(browser);
  const { origin } = setting.pages;
  await page.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 30_000_000 });
  const { done } = await pullLarge(page, "bulk:layer", "too-large");
  await page.send("Storage.overrideQuotaForOrigin", { origin });
  assert.deepEqual([done.errorClass, done.code], ["local", "quota-exceeded"], done.message);
  t.diagnostic(done.message);
  assert.deepEqual(await page.evaluate(() => globalThis.underTest.names()), []);
  const again = await pullLarge(page, "plain:1", "small");
  assert.equal(again.done.digest, setting.given.images["plain:1"], "with room again, a pull succeeds");
  await page.close();
}

/** Opens a page, and takes away what an earlier one left. */
async function openPage(browser, file = "Vite/page/index.html") {
  const page = await browser.open(`${setting.pages.origin}/${file}`);
  await ready(page);
  await page.evaluate(() => globalThis.underTest.removeAll());
  return page;
}

/** Pulls into OPFS, to the end. */
async function pullLarge(page, name, as) {
  await page.evaluate(([reference, as]) => globalThis.underTest.start(reference, as), [`${setting.given.open}/${name}`, as]);
  const { done } = await until(page, ({ done }) => done !== undefined);
  return { done, memory: await page.evaluate(() => globalThis.wasmProbe?.peak ?? 0) };
}

/** Looks at the pull ten times a second until something holds. */
async function until(page, holds) {
  const deadline = Date.now() + 180_000;
  for (;;) {
    const state = await page.evaluate(() => globalThis.underTest.state());
    if (holds(state) || state.done !== undefined) return state;
    if (Date.now() > deadline) throw new Error(`it takes too long: ${JSON.stringify(state)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function blobsOf(requests) {
  const digests = requests.map(({ target }) => target.split("/blobs/")[1]).filter((digest) => digest !== undefined);
  return [...new Set(digests)];
}
