// What every runtime does: images and artifacts pulled into memory, and read.
import { check, collect, equal, refused, sameListing, sha256, text } from "./run.mjs";

export const reading = {
  async "an image in memory lists as the native host's directory"({ oci, given }) {
    const { client, image } = await pulled({ oci, given }, "awkward:1");
    equal(image.digest, given.images["awkward:1"], "digest");
    equal(image.report.skipped, [], "what was skipped");
    const listing = await image.files.listing();
    image.close();
    client.close();
    sameListing(listing, given.expected.awkward);
    return listing.digest;
  },

  async "its files are read, its links followed inside the root"({ oci, given }) {
    const { image } = await pulled({ oci, given }, "awkward:1");
    const { files } = image;
    equal(text(await files.read("etc/hostname")), "two\n");
    equal(text(await files.read("/absolute")), "two\n");
    equal(text(await files.read("beyond")), "two\n");
    equal(text(await files.read("bin/through")), "through a link");
    equal(await files.readlink("absolute"), "/etc/hostname");
    equal((await files.lstat("absolute")).kind, "symlink");
    equal((await files.stat("absolute")).kind, "file");
    equal((await files.stat("usr/bin/linked-later")).links, 3);
    equal((await files.readdir("opaque-after")).map((entry) => entry.path), ["new"]);
    equal((await files.readdir("opaque-before")).map((entry) => entry.path), ["new"]);
    equal(await files.stat("removed/deep"), undefined);
    const [sparse, large] = [await files.read("sparse"), await collect(await files.open("large"))];
    equal([sparse.length, sparse[600], sparse[500_000], text(sparse.subarray(-10))], [1_000_000, 0, 7, "0123456789"]);
    equal([large.length, large[299_999]], [300_000, (299_999 * 299_999) % 2 ** 32 >>> 7 & 255]);
    const odd = (await files.readdir("names")).find((entry) => entry.path.startsWith("not utf-8"));
    equal(text(await files.read(`names/${odd.path}`)).slice(0, 9), "not utf-8");
    await refused(files.stat("loop-a"), "too-many-symlinks", "refused", oci);
    await refused(files.read("etc"), "not-a-file", "usage", oci);
    await refused(files.read("nowhere"), ["not-found", "path-not-found"], "not-found", oci);
    image.close();
    await refused(files.stat("etc"), "closed", "usage", oci);
  },

  async "its tar is the native one, byte for byte"({ oci, given }) {
    const { image } = await pulled({ oci, given }, "awkward:1");
    const digest = await sha256(await collect(image.files.tar()));
    image.close();
    equal(digest, given.expected.awkwardTar, "digest of the tar");
  },

  async "paths are selected, with what links need"({ oci, given }) {
    const { image } = await pulled({ oci, given }, "awkward:1", { path: ["opaque-after", "usr/bin/linked-later"] });
    const paths = [];
    for await (const entry of image.files.walk()) paths.push(entry.path);
    image.close();
    equal(paths, ["", "opaque-after", "opaque-after/new", "usr", "usr/bin", "usr/bin/linked-later"]);
    await refused(pulled({ oci, given }, "awkward:1", { path: "nowhere" }), "path-not-found", "not-found", oci);
  },

  async "several images are merged in order"({ oci, given }) {
    const { image } = await pulled({ oci, given }, ["plain:1", "awkward:1"]);
    const listing = await image.files.listing();
    image.close();
    sameListing(listing, given.expected.merged);
  },

  async "progress tells each blob to its end"({ oci, given }) {
    const events = [];
    const { image } = await pulled({ oci, given }, "awkward:1", { onProgress: (event) => events.push(event) });
    image.close();
    const resolved = events.find((event) => event.kind === "resolved");
    const of = (kind) => events.filter((event) => event.kind === kind);
    const bytes = new Map();
    for (const { digest, bytes: until } of of("downloaded")) bytes.set(digest, until);
    for (const { digest, size } of resolved.blobs) equal(bytes.get(digest), size, `bytes of ${digest}`);
    check(of("verified").length === resolved.blobs.length, `${of("verified").length} blobs were verified`);
  },

  async "manifests, configs and tags are as served"({ oci, given }) {
    const client = new oci.Client({ cache: false });
    const at = (name) => `${given.open}/${name}`;
    const index = await client.manifest(at("platforms:1"));
    equal([index.digest, await sha256(index.bytes)], [given.images["platforms:1"], given.images["platforms:1"]]);
    const { config, layers, digest } = await client.resolve(at("awkward:1"));
    equal([digest, layers.length, config.env], [given.images["awkward:1"], 4, ["PATH=/usr/bin"]]);
    equal((await client.config(at("plain:1"))).command, ["/hello"]);
    equal((await client.tags(at("plain"))).sort(), ["1", "2"]);
    const blob = await collect(await client.blob(at("awkward:1"), layers[0].digest));
    equal([blob.length, await sha256(blob)], [layers[0].size, layers[0].digest]);
    client.close();
    await refused(client.tags(at("plain")), "closed", "usage", oci);
  },

  async "the platform chooses"({ oci, given }) {
    const of = async (platform) => {
      const { image } = await pulled({ oci, given }, "platforms:1", platform && { platform });
      const name = text(await image.files.read("etc/platform"));
      image.close();
      return name;
    };
    equal(await of(undefined), "linux/amd64");
    equal(await of("linux/arm64"), "linux/arm64/v8");
    await refused(of("linux/s390x"), "platform-not-found", "not-found", oci);
  },

  async "WebAssembly is told from what is not, and runs where it may"({ oci, given }) {
    const client = new oci.Client({ cache: false });
    const module = await client.wasm(`${given.open}/module:1`);
    equal([module.kind, await sha256(module.bytes)], ["module", module.digest]);
    if (given.compiles) {
      const { exports } = await WebAssembly.instantiate(await module.compile());
      equal(exports.add(2, 40), 42);
    }
    equal((await client.wasm(`${given.open}/component:1`)).kind, "component");
    await refused(client.wasm(`${given.open}/not-wasm:1`), "not-wasm", "integrity", oci);
    const { files } = await client.get(`${given.open}/files:1`);
    equal(files.map((file) => [file.name, file.bytes.length]), [["a.txt", 1], ["b.bin", 1]]);
    client.close();
  },

  async "tokens are had with the password, and not without"({ oci, given }) {
    const pull = async (auth) => {
      const client = new oci.Client({ auth, cache: false });
      const image = await client.pull(`${given.tokens}/plain:1`);
      equal(text(await image.files.read("hello")), "hello, world\n");
      image.close();
      client.close();
    };
    await pull(given.account);
    await pull((registry, repository) => (equal([registry, repository], [given.tokens, "plain"]), given.account));
    await refused(pull("anonymous"), "token-refused", "authentication", oci);
    await refused(pull({ ...given.account, password: "wrong" }), "token-refused", "authentication", oci);
  },

  async "a token endpoint is used where no challenge can be read"({ oci, given }) {
    const client = new oci.Client({ auth: given.account, tokenEndpoint: given.tokenEndpoint, cache: false });
    const image = await client.pull(`${given.hidden}/plain:1`);
    equal(text(await image.files.read("hello")), "hello, world\n");
    image.close();
    client.close();
  },

  async "a layout on a static host is a source"({ oci, given }) {
    const client = new oci.Client({ cache: false });
    const layout = `${given.files.url}/layout`;
    for (const source of [`${layout}#awkward`, oci.staticLayout(layout, { name: "awkward" })]) {
      const image = await client.pull(source);
      equal(image.digest, given.images["awkward:1"], "digest");
      sameListing(await image.files.listing(), given.expected.awkward);
      image.close();
    }
    const missing = client.pull(`${layout}#nothing`);
    await refused(missing, ["image-not-found", "source-not-found", "not-found"], "not-found", oci);
    client.close();
  },

  async "archives of skopeo's are sources"({ oci, given }) {
    const client = new oci.Client({ cache: false });
    for (const kind of ["oci", "docker"]) {
      const answer = await fetch(`${given.files.url}/${kind}-archive.tar`);
      const image = await client.pull(oci.archive(await answer.blob()));
      sameListing(await image.files.listing(), given.expected.plain);
      image.close();
    }
    client.close();
  },
};

/** Pulls from the open registry without a cache. */
export async function pulled({ oci, given }, names, options = {}) {
  const client = new oci.Client({ cache: false });
  const references = [names].flat().map((name) => `${given.open}/${name}`);
  return { client, image: await client.pull(references, options) };
}
