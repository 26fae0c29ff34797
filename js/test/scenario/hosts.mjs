// What Node, Deno and Bun do beside: directories, layouts, the folder cache and credentials.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { check, equal, refused, sameListing, text } from "./run.mjs";

export const hosts = {
  async "a directory lists as the native host's, but for what the runtime cannot set"({ oci, given }) {
    const client = new oci.Client({ cache: false });
    const name = given.onDisk;
    const to = path.join(given.folder, name);
    const image = await client.pull(`${given.open}/${name}:1`, { to: oci.directory(to) });
    equal(image.digest, given.images[`${name}:1`], "digest");
    const without = given.cannotHold;
    sameListing(await image.files.listing({ without }), given.expected.onDisk[name]);
    if (name === "awkward") check(image.report.skipped.length > 0, "what could not be set is reported");
    else await refused(client.pull(`${given.open}/awkward:1`, { to: oci.directory(`${to}-odd`) }), "name-not-supported", "local", oci);
    equal(readdirSync(given.folder).filter((other) => other.includes(name)), [name], "what stands beside it");
    image.close();
    client.close();
    return image.report.counts;
  },

  async "a directory that holds something is refused before any download"({ oci, given }) {
    const to = path.join(given.folder, "full");
    mkdirSync(to);
    writeFileSync(path.join(to, "mine"), "mine");
    let asked = 0;
    const counting = (...request) => (asked++, fetch(...request));
    const client = new oci.Client({ cache: false, fetch: counting });
    const pull = client.pull(`${given.open}/plain:1`, { to: oci.directory(to) });
    await refused(pull, "destination-not-empty", "usage", oci);
    equal([asked, readdirSync(to)], [0, ["mine"]]);
    client.close();
  },

  async "nothing half visible stays of a pull that fails"({ oci, given }) {
    const place = path.join(given.folder, "failing");
    mkdirSync(place);
    const client = new oci.Client({ cache: false });
    for (const [repository, code, errorClass] of [
      ["wrong-diff-id", "diff-id-mismatch", "integrity"],
      ["outside", "unsafe-name", "refused"],
      ["link-missing", "hard-link-to-missing", "refused"],
    ]) {
      const to = oci.directory(path.join(place, "out"));
      await refused(client.pull(`${given.faults}/${repository}:1`, { to }), code, errorClass, oci);
      equal(readdirSync(place), [], `what ${repository} left`);
    }
    client.close();
  },

  async "a layout is read back by the native host"({ oci, given }) {
    const client = new oci.Client({ cache: false });
    const to = path.join(given.folder, "layout");
    const [copied] = await client.pull(`${given.open}/awkward:1`, { to: oci.layout(to) });
    equal(copied.digest, given.images["awkward:1"], "digest");
    await client.pull(`${given.open}/platforms:1`, { to: oci.layout(to), platforms: "all" });
    const { manifests } = JSON.parse(readFileSync(path.join(to, "index.json"), "utf8"));
    equal(manifests.map((entry) => entry.digest), [given.images["awkward:1"], given.images["platforms:1"]]);
    client.close();
  },

  async "blobs are kept in a folder, and not asked for again"({ oci, given }) {
    const cache = oci.folderCache(path.join(given.folder, "cache"));
    const asked = [];
    const counting = (request, ...rest) => (asked.push(String(request.url ?? request)), fetch(request, ...rest));
    for (const expected of [true, false]) {
      asked.length = 0;
      const client = new oci.Client({ cache, fetch: counting });
      const image = await client.pull(`${given.open}/awkward:1`);
      image.close();
      client.close();
      equal(asked.some((url) => url.includes("/blobs/")), expected, "whether blobs were asked for");
    }
  },

  async "the native host's cache serves, offline"({ oci, given }) {
    const client = new oci.Client({ cache: oci.folderCache(given.nativeCache), offline: true });
    const image = await client.pull(`${given.open}/awkward:1`);
    equal(text(await image.files.read("etc/hostname")), "two\n");
    image.close();
    client.close();
  },

  async "layouts and archives of the disk are sources"({ oci, given }) {
    const client = new oci.Client({ cache: false });
    const { folder } = given.files;
    for (const source of [`oci:${folder}/layout:platforms`, `oci-archive:${folder}/oci-archive.tar`]) {
      check((await client.resolve(source)).layers.length > 0, source);
    }
    const image = await client.pull(`docker-archive:${folder}/docker-archive.tar`);
    sameListing(await image.files.listing(), given.expected.plain);
    image.close();
    client.close();
  },

  async "credentials are docker's, by file and by helper"({ oci, given }) {
    // HOME has a config whose helper knows the account; see driver.
    const client = new oci.Client({ cache: false });
    const image = await client.pull(`${given.tokens}/plain:1`);
    equal(text(await image.files.read("hello")), "hello, world\n");
    image.close();
    const other = await client.pull(`${given.hidden}/plain:1`);
    other.close();
    client.close();
    check(existsSync(given.helperMark), "the helper was asked");
  },
};
