import { decodeHere } from "../decoding.js";
import { useLoader } from "../engine.js";
import { QUIET, useRuntime } from "../runtime.js";

export * from "../index.js";

useLoader(() => fetch(new URL("../../wasm/oci_fetcher_bg.wasm", import.meta.url)));
useRuntime({ redirects: "follow", shortAccept: true, init: QUIET, decoding: () => decodeHere() });
