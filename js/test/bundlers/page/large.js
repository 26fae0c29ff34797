// Pulls of large images: watched, cut off, and over quota.
import * as oci from "oci-fetcher";

const client = new oci.Client();
let pulling;

export const large = {
  /** Starts a pull into the origin private file system; `state()` tells of it. */
  start(reference, name) {
    pulling = { downloaded: {}, verified: [], sizes: {}, started: performance.now(), done: undefined };
    const state = pulling;
    const abort = new AbortController();
    state.abort = () => abort.abort(new Error("of the test"));
    const blocks = watchBlocks();
    const onProgress = (event) => {
      if (event.kind === "resolved") for (const { digest, size } of event.blobs) state.sizes[digest] = size;
      if (event.kind === "downloaded") state.downloaded[event.digest] = event.bytes;
      if (event.kind === "verified") state.verified.push(event.digest);
    };
    client.pull(reference, { to: oci.opfs(name), onProgress, signal: abort.signal }).then(
      (image) => {
        const { digest, counts } = image;
        image.close();
        const milliseconds = Math.round(performance.now() - state.started);
        state.done = { digest, counts, milliseconds, longestBlock: blocks.stop() };
      },
      (error) => {
        blocks.stop();
        state.done = { code: error.code, errorClass: error.errorClass, message: error.message };
      },
    );
  },

  state() {
    const { abort, ...state } = pulling;
    return state;
  },

  abort() {
    pulling.abort();
  },

  /** Lists a stored image, read back from the origin private file system. */
  async listing(name) {
    const started = performance.now();
    const image = await client.open(name);
    const { digest } = await image.files.listing();
    image.close();
    return { digest, milliseconds: Math.round(performance.now() - started) };
  },

  async names() {
    return (await client.images()).map((image) => image.name);
  },

  async removeAll() {
    for (const { name } of await client.images()) await client.remove(name);
  },
};

/**
 * Finds the main thread's longest block, in milliseconds: how late a timer came at the most, and the
 * longest task that the browser itself names, where it names any.
 */
function watchBlocks() {
  let latest = 0;
  let due = performance.now() + PERIOD;
  const timer = setInterval(() => {
    const now = performance.now();
    latest = Math.max(latest, now - due);
    due = now + PERIOD;
  }, PERIOD);
  let longestTask = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longestTask = Math.max(longestTask, duration);
  });
  const names = PerformanceObserver.supportedEntryTypes.includes("longtask");
  if (names) observer.observe({ entryTypes: ["longtask"] });
  return {
    stop() {
      clearInterval(timer);
      observer.disconnect();
      return { late: Math.round(latest), task: names ? Math.round(longestTask) : undefined };
    },
  };
}

/** Below it, browsers stretch the period of nested timers. */
const PERIOD = 5;
