// Large images in Node, Deno and Bun.
import { rmSync } from "node:fs";
import path from "node:path";
import { check, equal } from "./run.mjs";

/** The Debian image of the native tests, through each storage that a runtime has. */
export const debian = {
  async "the Debian image in memory lists as the native host's directory"({ oci, given }) {
    const client = new oci.Client({ cache: false });
    const image = await client.pull(`${given.open}/debian:1`);
    const listing = await image.files.listing();
    image.close();
    client.close();
    equal(listing.digest, given.expected.debian, "the listing's digest");
    return listing.digest;
  },

  async "the Debian image in a directory lists as the native host's"({ oci, given }) {
    const client = new oci.Client({ cache: false });
    const to = path.join(given.folder, "debian");
    const image = await client.pull(`${given.open}/debian:1`, { to: oci.directory(to) });
    const listing = await image.files.listing({ without: given.cannotHold });
    image.close();
    client.close();
    equal(listing.digest, given.expected.debianOnDisk, "the listing's digest");
    rmSync(to, { recursive: true });
    return image.report.counts;
  },
};

/** Figures that every runtime reports. */
export const speed = {
  async "100 MB of gzip are verified and untarred into memory"({ oci, given }) {
    const client = new oci.Client({ cache: false });
    const { layers } = await client.resolve(`${given.open}/bulk:layer`);
    const started = performance.now();
    const image = await client.pull(`${given.open}/bulk:layer`);
    const seconds = (performance.now() - started) / 1000;
    equal(image.digest, given.images["bulk:layer"], "digest");
    const { bytes, files } = image.counts;
    check(files > 1000, `${files} files`);
    image.close();
    client.close();
    const megabytes = (size) => Math.round(size / seconds / 1e5) / 10;
    return { compressed: megabytes(layers[0].size), output: megabytes(bytes), unit: "MB/s" };
  },
};
