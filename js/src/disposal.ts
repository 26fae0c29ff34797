/// <reference lib="esnext.disposable" preserve="true" />

/** The name of the method that `using` calls; runtimes that lack it find it under a name of our own. */
export const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("oci-fetcher.dispose");
/** And the one that `await using` calls. */
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for("oci-fetcher.asyncDispose");
