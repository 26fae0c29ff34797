/** Makes an element with properties and children. */
export function element(name, properties, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Makes a button; its label says more than its text where there are several of the same text. */
export function button(text, label, pressed) {
  const made = element("button", { type: "button", onclick: pressed }, [text]);
  made.setAttribute("aria-label", label);
  return made;
}

/** Writes a size for reading. */
export function megabytes(bytes) {
  if (bytes < 1_000) return `${bytes} bytes`;
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(0)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
