import module from "../../wasm/oci_fetcher_bg.wasm?module";
import { decodeHere } from "../decoding.js";
import { useLoader } from "../engine.js";
import { useRuntime } from "../runtime.js";

export * from "../index.js";

// Nothing may be compiled from bytes here: the module is part of the deployment.
useLoader(() => module);
useRuntime({ redirects: "manual", shortAccept: false, init: {}, decoding: () => decodeHere() });
