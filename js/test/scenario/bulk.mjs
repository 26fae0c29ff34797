// Large images: the Debian image of the native tests, and how fast 100 MB are verified and unpacked.
import { check, equal, sameListing } from "./run.mjs";

export const bulk = {
  async "the Debian image in memory lists as the native host's directory"({ oci, given }) {
    const client = new oci.Client({ cache: false });
    const image = await client.pull(`${given.open}/debian:1`);
    const listing = await image.files.listing();
    image.close();
    client.close();
    sameListing(listing, given.expected.debian);
    return listing.digest;
  },

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
