// The page under test: what a browser is driven to do.
import * as oci from "oci-fetcher";
import { proxied } from "oci-fetcher/proxy";
import { failures } from "../scenario/failures.mjs";
import { opfs } from "../scenario/opfs.mjs";
import { reading } from "../scenario/reading.mjs";
import { runSteps } from "../scenario/run.mjs";
import { large } from "./large.js";

const GROUPS = { reading, failures, opfs };

globalThis.underTest = {
  oci,
  ...large,

  /** Runs groups of steps; with `only`, those of these names. */
  run(groups, given, only) {
    const steps = Object.assign({}, ...groups.map((group) => GROUPS[group]));
    const chosen = Object.entries(steps).filter(([name]) => only === undefined || only.includes(name));
    return runSteps(Object.fromEntries(chosen), { oci, given });
  },

  /** Pulls through a proxy, and without it; returns the digest, and the code of the failure. */
  async pullThrough(reference, proxy) {
    const direct = new oci.Client({ retry: { attempts: 1 } });
    const refused = await direct.pull(reference).then(
      () => "nothing was refused",
      (error) => `${error.errorClass}/${error.code}`,
    );
    direct.close();
    const client = new oci.Client({ rewriteUrl: proxied(proxy) });
    const image = await client.pull(reference);
    const { digest } = await image.files.listing();
    image.close();
    client.close();
    return { refused, digest };
  },
};
