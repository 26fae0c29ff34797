import { button, element, megabytes } from "./elements.js";

/** Shows the files of one image: its directories, and one file at a time. */
export class FileBrowser {
  #section;
  #title;
  #crumbs;
  #entries;
  #viewer;
  #image;
  #name = "";

  constructor(section) {
    this.#section = section;
    this.#title = section.querySelector("h2");
    this.#crumbs = section.querySelector("#crumbs");
    this.#entries = section.querySelector("#entries");
    this.#viewer = section.querySelector("#viewer");
    // Up and down move through the entries, as they do in lists everywhere.
    this.#entries.addEventListener("keydown", (event) => {
      const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
      const next = step && document.activeElement.closest("li")?.[step]?.querySelector("button");
      if (!next) return;
      event.preventDefault();
      next.focus();
    });
  }

  /** Takes an image, and closes the one before. */
  async show(image, name) {
    this.#image?.close();
    this.#image = image;
    this.#name = name;
    this.#title.textContent = `Files of ${name}`;
    this.#section.hidden = false;
    await this.#open("");
    this.#title.focus();
  }

  /** Closes the image of that name; what is removed cannot be shown. */
  hide(name) {
    if (this.#name !== name) return;
    this.#image?.close();
    this.#image = undefined;
    this.#section.hidden = true;
  }

  async #open(directory) {
    const entries = await this.#image.files.readdir(directory);
    this.#showPath(directory);
    this.#entries.replaceChildren(...entries.map((entry) => this.#row(directory, entry)));
    if (entries.length === 0) this.#entries.append(element("li", { className: "quiet" }, ["empty"]));
    this.#entries.querySelector("button")?.focus();
  }

  #showPath(directory) {
    const names = directory === "" ? [] : directory.split("/");
    const parts = [button("/", "Root", () => this.#open(""))];
    names.forEach((name, at) => {
      const path = names.slice(0, at + 1).join("/");
      if (at > 0) parts.push("/");
      parts.push(button(shown(name), `Directory ${shown(path)}`, () => this.#open(path)));
    });
    this.#crumbs.replaceChildren(...parts);
  }

  #row(directory, entry) {
    const path = directory === "" ? entry.path : `${directory}/${entry.path}`;
    const marks = { directory: "/", symlink: ` → ${shown(entry.linkTarget)}` };
    const size = entry.kind === "file" ? megabytes(entry.size) : "";
    const row = element("button", { type: "button", onclick: () => this.#choose(path) }, [
      element("span", { className: "name" }, [`${shown(entry.path)}${marks[entry.kind] ?? ""}`]),
      element("span", { className: "quiet" }, [size]),
    ]);
    return element("li", {}, [row]);
  }

  async #choose(path) {
    const entry = await this.#image.files.stat(path);
    if (entry?.kind === "directory") return this.#open(path);
    const title = element("p", {}, [element("code", {}, [shown(path)])]);
    if (entry === undefined) return this.#viewer.replaceChildren(title, element("p", {}, ["It leads nowhere."]));
    const mode = entry.mode.toString(8).padStart(4, "0");
    title.append(` ${megabytes(entry.size)}, mode ${mode}, owner ${entry.uid}:${entry.gid}`);
    if (entry.kind !== "file") return this.#viewer.replaceChildren(title, element("p", {}, [`A ${entry.kind}.`]));
    const bytes = await this.#beginning(path);
    const rest = entry.size > bytes.length ? [element("p", { className: "quiet" }, [`The first ${megabytes(bytes.length)}.`])] : [];
    const content = element("pre", { tabIndex: 0 }, [textOf(bytes) ?? dumpOf(bytes)]);
    this.#viewer.replaceChildren(title, ...rest, content);
  }

  /** Reads as much of a file as can be looked at. */
  async #beginning(path) {
    const reader = (await this.#image.files.open(path)).getReader();
    const bytes = new Uint8Array(SHOWN);
    let length = 0;
    while (length < SHOWN) {
      const { done, value } = await reader.read();
      if (done) break;
      const taken = value.subarray(0, SHOWN - length);
      bytes.set(taken, length);
      length += taken.length;
    }
    await reader.cancel();
    return bytes.subarray(0, length);
  }
}

/** Shows bytes that are not UTF-8, which stand as lone surrogates in a name. */
function shown(name) {
  return name.toWellFormed?.() ?? name;
}

/** Returns text as such; `undefined` for anything else. */
function textOf(bytes) {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return undefined;
  }
}

function dumpOf(bytes) {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, DUMPED); at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${hex.padEnd(47)}  ${text}`);
  }
  return lines.join("\n");
}

/** What is shown of a file: more would make the page slow. */
const SHOWN = 200_000;
const DUMPED = 8_192;
