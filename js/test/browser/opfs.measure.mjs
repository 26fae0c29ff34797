// Measures pulls into the origin private file system of real Chromium: how fast they are, how long the page's
// thread is busy at a stretch, and how much memory the module takes.
// `node test/browser/opfs.measure.mjs [MEGABYTES [BYTES_A_FILE]]`, after `npm run build`.
import { randomBytes } from "node:crypto";
import { image, tar } from "../image.mjs";
import { startChromium, startOpenRegistry, startPages } from "./page.mjs";

const LAYERS = 6;
const megabytes = Number(process.argv[2] ?? 300);
const fileBytes = Number(process.argv[3] ?? 36_000);

const registry = await startOpenRegistry();
const pages = await startPages();
const chromium = await startChromium();
try {
  const made = image(Array.from({ length: LAYERS }, (_, layer) => tar([...entries(layer, (megabytes * 1e6) / LAYERS)])));
  const reference = registry.serve("large:1", made);
  const compressed = made.layers.reduce((sum, { size }) => sum + size, 0);
  console.log(`${megabytes} MB in ${LAYERS} layers, ${(compressed / 1e6).toFixed(0)} MB compressed`);
  for (const kind of ["opfs", "opfs, all layers present", "memory"]) {
    const page = await chromium.context.newPage();
    await page.goto(`${pages.origin}/blank`);
    const memories = watchMemory(page);
    const tasks = await watchTasks(page);
    const result = await page.evaluate(pull, { reference, kind });
    const longest = await tasks();
    const reading = await page.evaluate(readAll);
    console.log(kind, JSON.stringify({ ...result, ...longest, ...reading, workerMiB: await memories() }));
    await page.close();
  }
} finally {
  await chromium.close();
  await pages.close();
  await registry.close();
}

/** Yields files of text that is about as compressible as programs are. */
function* entries(layer, bytes) {
  const words = Array.from({ length: 4_000 }, () => randomBytes(6));
  for (let made = 0, file = 0; made < bytes; made += fileBytes, file += 1) {
    const picks = randomBytes(fileBytes / 3);
    const parts = Array.from({ length: fileBytes / 6 }, (_, at) => words[picks.readUInt16LE((at * 2) % (picks.length - 2)) % words.length]);
    yield { path: `layer${layer}/directory${file >> 6}/file${file}`, content: Buffer.concat(parts) };
  }
}

/** Looks at the memory of each Worker's module while they live; memory never shrinks. */
function watchMemory(page) {
  let most = 0;
  const timer = setInterval(async () => {
    for (const worker of page.workers()) {
      const bytes = await worker
        .evaluate(async () => (await import("/wasm/oci_fetcher.js")).initSync().memory.buffer.byteLength)
        .catch(() => 0);
      most = Math.max(most, bytes);
    }
  }, 200);
  return async () => {
    clearInterval(timer);
    return most / 2 ** 20;
  };
}

/** Looks at the tasks of the page's main thread: the longest, by the clock and by the processor's time. */
async function watchTasks(page) {
  const session = await chromium.context.newCDPSession(page);
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  const traceConfig = { includedCategories: ["disabled-by-default-devtools.timeline", "devtools.timeline", "v8"] };
  await session.send("Tracing.start", { traceConfig });
  return async () => {
    const complete = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
    await session.send("Tracing.end");
    await complete;
    const mains = events.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain");
    const of = ({ pid, tid }) => events.filter((event) => event.name === "RunTask" && event.pid === pid && event.tid === tid);
    // Of several pages' threads, the one that was busy.
    const [tasks] = mains.map(of).sort((one, other) => other.length - one.length);
    const longest = (key) => Math.round(tasks.reduce((most, task) => Math.max(most, task[key] ?? 0), 0) / 1000);
    return { tasks: tasks.length, longestMs: longest("dur"), longestCpuMs: longest("tdur") };
  };
}

async function pull({ reference, kind }) {
  const { Client, memory, opfs } = await import("/dist/entry/browser.js");
  const longtasks = [];
  const observer = new PerformanceObserver((list) => longtasks.push(...list.getEntries().map(({ duration }) => Math.round(duration))));
  observer.observe({ type: "longtask" });
  const begin = performance.now();
  window.pulled = await new Client().pull(reference, { to: kind === "memory" ? memory() : opfs() });
  const seconds = (performance.now() - begin) / 1000;
  await new Promise((resolve) => setTimeout(resolve, 100));
  const memoryOf = (await import("/wasm/oci_fetcher.js")).initSync().memory.buffer.byteLength;
  return { seconds, longtasks, entries: window.pulled.counts.entries, pageMiB: memoryOf / 2 ** 20 };
}

async function readAll() {
  const begin = performance.now();
  let bytes = 0;
  for await (const { kind, path } of window.pulled.files.walk()) {
    if (kind === "file") bytes += (await window.pulled.files.read(path)).length;
  }
  window.pulled.close();
  return { readSeconds: (performance.now() - begin) / 1000, readMB: bytes / 1e6 };
}
