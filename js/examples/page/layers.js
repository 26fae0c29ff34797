import { element, megabytes } from "./elements.js";

/** Shows how far each layer of a pull is: downloaded, then unpacked. */
export class LayerList {
  #list;
  #rows = new Map();

  constructor(list) {
    this.#list = list;
  }

  note(event) {
    if (event.kind === "resolved") this.#begin(event.blobs);
    else if (event.kind === "downloaded") this.#downloaded(event);
    else if (event.kind === "verified") this.#finished(event.digest, "unpacked");
  }

  /** Layers of which nothing was heard were here already. */
  done() {
    for (const [digest, { finished }] of this.#rows) if (!finished) this.#finished(digest, "was here");
  }

  stop() {
    for (const { row, finished } of this.#rows.values()) if (!finished) row.hidden = true;
  }

  #begin(blobs) {
    this.#rows.clear();
    this.#list.replaceChildren();
    this.#list.hidden = blobs.length === 0;
    for (const { digest, size } of blobs) {
      if (this.#rows.has(digest)) continue;
      const bar = element("progress", { max: Math.max(size, 1), value: 0 });
      const name = digest.replace(/^\w+:(\w{12}).*$/, "$1");
      bar.setAttribute("aria-label", `Layer ${name}`);
      const state = element("span", { className: "quiet" }, [`waiting, ${megabytes(size)}`]);
      const row = element("li", {}, [element("code", { title: digest }, [name]), bar, state]);
      this.#rows.set(digest, { row, bar, state, size, finished: false });
      this.#list.append(row);
    }
  }

  #downloaded({ digest, bytes }) {
    const layer = this.#rows.get(digest);
    if (layer === undefined || layer.finished) return;
    layer.bar.value = bytes;
    layer.state.textContent =
      bytes < layer.size ? `downloaded ${megabytes(bytes)} of ${megabytes(layer.size)}` : "downloaded, unpacking";
  }

  #finished(digest, how) {
    const layer = this.#rows.get(digest);
    if (layer === undefined) return;
    layer.finished = true;
    layer.bar.value = layer.bar.max;
    layer.state.textContent = `${how}, ${megabytes(layer.size)}`;
  }
}
