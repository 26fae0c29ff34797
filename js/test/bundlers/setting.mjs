// What the tests of this folder share: servers, the packed package in a project, and its bundles.
import { cpSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Native } from "../harness/native.mjs";
import { PACKAGE } from "../harness/programs.mjs";
import { pack, project, temporary } from "../harness/project.mjs";
import { startServers } from "../harness/servers.mjs";
import { bundle, BUNDLERS } from "./build.mjs";
import { servePages } from "./pages.mjs";
import { addProbe } from "./probe.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));

/** Starts servers, packs, installs, and bundles both pages with each bundler. */
export async function makeSetting() {
  const { folder, remove } = temporary();
  const servers = await startServers();
  const packed = await pack(folder);
  const files = ["page", "small", "proxy.mjs", "../scenario"].map((name) => path.join(here, name));
  const place = await project(path.join(folder, "project"), packed.tarball, [
    ...files,
    path.join(PACKAGE, "examples/proxy/server.mjs"),
  ]);
  const out = path.join(folder, "out");
  for (const name of Object.keys(BUNDLERS)) {
    for (const page of ["page", "small"]) await bundle(name, path.join(place.folder, page), path.join(out, name, page));
    cpSync(path.join(out, name, "page"), path.join(out, name, "probed"), { recursive: true });
    addProbe(path.join(out, name, "probed"));
  }
  const pages = await servePages(out);
  return {
    folder,
    out,
    pages,
    place,
    servers,
    given: { ...servers.addresses, compiles: true, expected: await expectations(folder, servers.addresses.open) },
    async end() {
      await pages.close();
      await servers.stop();
      remove();
    },
  };
}

async function expectations(folder, open) {
  const native = new Native(path.join(folder, "native"));
  const at = (name) => `${open}/${name}`;
  return {
    awkward: await native.listing(at("awkward:1")),
    awkwardTar: await native.tarDigest(at("awkward:1")),
    plain: await native.listing(at("plain:1")),
    merged: await native.listing([at("plain:1"), at("awkward:1")]),
    bulk: (await native.listing(at("bulk:image"))).digest,
    debian: (await native.listing(at("debian:1"))).digest,
  };
}
