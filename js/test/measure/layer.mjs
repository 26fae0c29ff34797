// How fast a gzip layer of 100 MB is verified and untarred into memory, against bare inflate and two
// hashes in the same module, taking turns in one run: medians, in MB/s of output.
//
//   node build.mjs --measure && node test/measure/layer.mjs [--chromium]
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { startChromium } from "../bundlers/browsers.mjs";
import { servePages } from "../bundlers/pages.mjs";
import { digestOf, tar } from "../image.mjs";
import { measure } from "./rounds.mjs";

const MODULE = new URL("../../wasm-measure/", import.meta.url);

/** Cuts the bytes of this runtime, which are code and text as a layer's are, into files of all sizes. */
function layer() {
  const source = readFileSync(process.execPath).subarray(0, 100_000_000);
  const entries = [];
  for (let at = 0, number = 0; at < source.length; number++) {
    const size = [300, 2_000, 9_000, 40_000, 180_000][number % 5];
    entries.push({ path: `files/${number}`, content: source.subarray(at, at + size) });
    at += size;
  }
  const plain = tar(entries);
  return { plain, blob: gzipSync(plain, { level: 6 }) };
}

const { plain, blob } = layer();
const spec = { digest: digestOf(blob), size: blob.length, diffId: digestOf(plain), mediaType: "application/vnd.oci.image.layer.v1.tar+gzip" };

function tell(where, { decoded, bare, files }) {
  const speed = (seconds) => `${(plain.length / 1e6 / seconds).toFixed(0)} MB/s`;
  console.log(`${where}: layer ${speed(decoded)}, bare ${speed(bare)}: ${(bare / decoded).toFixed(2)} (${files} entries)`);
}

if (process.argv.includes("--chromium")) {
  const folder = mkdtempSync(path.join(tmpdir(), "measure-"));
  for (const name of ["oci_fetcher.js", "oci_fetcher_bg.wasm"]) copyFileSync(new URL(name, MODULE), path.join(folder, name));
  copyFileSync(new URL("rounds.mjs", import.meta.url), path.join(folder, "rounds.mjs"));
  writeFileSync(path.join(folder, "layer"), blob);
  writeFileSync(path.join(folder, "index.html"), "<!doctype html><title>measure</title>");
  const pages = await servePages(folder);
  const browser = await startChromium(folder);
  try {
    const page = await browser.open(`${pages.origin}/`);
    const measured = await page.evaluate(async (spec) => {
      const [engine, { measure }] = await Promise.all([import("/oci_fetcher.js"), import("/rounds.mjs")]);
      await engine.default({ module_or_path: "/oci_fetcher_bg.wasm" });
      const blob = new Uint8Array(await (await fetch("/layer")).arrayBuffer());
      return measure(engine, spec, blob);
    }, spec);
    tell(`Chromium ${browser.version ?? ""}`, measured);
  } finally {
    await browser.close();
    await pages.close();
    rmSync(folder, { recursive: true });
  }
} else {
  const engine = await import(fileURLToPath(new URL("oci_fetcher.js", MODULE)));
  engine.initSync({ module: readFileSync(new URL("oci_fetcher_bg.wasm", MODULE)) });
  tell(`Node ${process.versions.node}`, measure(engine, spec, blob));
}
