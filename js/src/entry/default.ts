import { decodeHere } from "../decoding.js";
import { useLoader } from "../engine.js";
import { QUIET, useRuntime } from "../runtime.js";
import { embeddedModule } from "./embedded.js";

export * from "../index.js";

useLoader(embeddedModule);
useRuntime({ redirects: "manual", shortAccept: false, init: QUIET, decoding: () => decodeHere() });
