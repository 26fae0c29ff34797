import { Client, OciError, opfs } from "oci-fetcher";
import { proxied } from "oci-fetcher/proxy";
import { FileBrowser } from "./files.js";
import { LayerList } from "./layers.js";
import { button, element, megabytes } from "./elements.js";

const form = document.querySelector("#pull");
const status = document.querySelector("#status");
const failure = document.querySelector("#error");
const start = document.querySelector("#start");
const cancel = document.querySelector("#cancel");
const images = document.querySelector("#images");
const none = document.querySelector("#none");

const store = new Client();
const files = new FileBrowser(document.querySelector("#browser"));
const layers = new LayerList(document.querySelector("#layers"));

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { reference, proxy } = Object.fromEntries(new FormData(form));
  const stop = new AbortController();
  cancel.onclick = () => stop.abort();
  working(true);
  await guarded(async () => {
    const client = new Client(proxy === "" ? {} : { rewriteUrl: proxied(proxy) });
    try {
      say(`Resolving ${reference} …`);
      const begin = performance.now();
      const pulled = await client.pull(reference.trim(), {
        to: opfs(),
        signal: stop.signal,
        onProgress: (event) => {
          layers.note(event);
          if (event.kind === "resolved") say(`Pulling ${event.source}, ${event.blobs.length} layers …`);
          if (event.kind === "retry") say(`Trying again: ${event.reason}`);
        },
      });
      layers.done();
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      say(`${pulled.counts.entries} entries, ${megabytes(pulled.counts.bytes)}, verified in ${seconds} s.`);
      await list();
      await files.show(pulled, reference);
    } finally {
      client.close();
    }
  });
  working(false);
});

/** Lists the images that stay in this browser. */
async function list() {
  const stored = await store.images();
  none.hidden = stored.length > 0;
  images.replaceChildren(
    ...stored.map(({ name, digest, bytes, completed }) =>
      element("li", {}, [
        element("div", { className: "what" }, [
          element("strong", {}, [name]),
          element("div", { className: "quiet" }, [
            `${megabytes(bytes)}, ${new Date(completed).toLocaleString()}, `,
            element("code", { title: digest }, [short(digest)]),
          ]),
        ]),
        element("div", { className: "buttons" }, [
          button("Open", `Open ${name}`, () => guarded(() => openStored(name))),
          button("Remove", `Remove ${name}`, () => guarded(() => removeStored(name))),
        ]),
      ]),
    ),
  );
}

async function openStored(name) {
  const image = await store.open(name);
  if (image === undefined) return list();
  say(`${name}: ${image.counts.entries} entries.`);
  await files.show(image, name);
}

async function removeStored(name) {
  files.hide(name);
  await store.remove(name);
  say(`Removed ${name}.`);
  await list();
  document.querySelector("#reference").focus();
}

/** Does something, and shows what went wrong. */
async function guarded(work) {
  failure.textContent = "";
  try {
    await work();
  } catch (error) {
    layers.stop();
    say("");
    if (error instanceof OciError && error.code === "aborted") return say("Cancelled. What is verified stays for the next attempt.");
    const advice = error instanceof OciError && error.advice !== undefined ? `\n${error.advice}` : "";
    failure.textContent = `${error.message}${advice}`;
    if (!(error instanceof OciError)) console.error(error);
  }
}

function working(busy) {
  start.disabled = busy;
  cancel.hidden = !busy;
}

function say(text) {
  status.textContent = text;
}

function short(digest) {
  return digest.replace(/^(\w+:\w{12}).*$/, "$1");
}

await guarded(list);
