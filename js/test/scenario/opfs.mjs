// What browsers do beside: images that stay in the origin private file system.
import { check, equal, refused, sameListing, text } from "./run.mjs";

export const opfs = {
  async "an image in OPFS lists as the native host's directory"({ oci, given }) {
    const client = new oci.Client();
    const image = await client.pull(`${given.open}/awkward:1`, { to: oci.opfs("awkward") });
    equal(image.digest, given.images["awkward:1"], "digest");
    sameListing(await image.files.listing(), given.expected.awkward);
    image.close();
    const stored = await client.images();
    equal(stored.map(({ name, digest }) => [name, digest]), [["awkward", given.images["awkward:1"]]]);
    const opened = await client.open("awkward");
    sameListing(await opened.files.listing(), given.expected.awkward);
    opened.close();
    client.close();
  },

  async "a file an entry, where that is asked for"({ oci, given }) {
    const client = new oci.Client();
    const image = await client.pull(`${given.open}/awkward:1`, { to: oci.opfs("files", { layout: "files" }) });
    sameListing(await image.files.listing(), given.expected.awkward);
    image.close();
    check(await client.remove("files"), "it is removed");
    client.close();
  },

  async "what fails leaves nothing visible"({ oci, given }) {
    const client = new oci.Client({ retry: { attempts: 1 } });
    for (const [repository, code, errorClass] of [
      ["flipped", ["digest-mismatch", "malformed-gzip"], "integrity"],
      ["wrong-diff-id", "diff-id-mismatch", "integrity"],
      ["outside", "unsafe-name", "refused"],
    ]) {
      await refused(client.pull(`${given.faults}/${repository}:1`, { to: oci.opfs("bad") }), code, errorClass, oci);
      equal(await client.open("bad"), undefined, "what stands under the name");
    }
    equal((await client.images()).map(({ name }) => name), ["awkward"]);
    client.close();
  },

  async "removed, it is gone"({ oci, given }) {
    const client = new oci.Client();
    equal([await client.remove("awkward"), await client.remove("awkward")], [true, false]);
    equal(await client.images(), []);
    const image = await client.pull(`${given.open}/plain:1`, { to: oci.opfs() });
    equal(text(await image.files.read("hello")), "hello, world\n");
    image.close();
    equal((await client.images()).length, 1);
    equal(await client.remove(`${given.open}/plain:1`), true);
    client.close();
  },
};
