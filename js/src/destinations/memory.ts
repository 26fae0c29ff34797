import type { Destination, Staging } from "../destination.js";

/**
 * Unpacks into memory: the files are there until the result is closed.
 *
 * ```js
 * const image = await client.pull("alpine:3.22", { to: memory() });
 * const release = await image.files.read("etc/alpine-release");
 * ```
 */
export function memory(): Destination {
  return { kind: "files", begin: async () => STAGING };
}

/** Nothing is shared between pulls, and nothing has to be taken back. */
const STAGING: Staging = {
  find: async () => undefined,
  place: () => ({ kind: "memory" }),
  decoded: async () => undefined,
  complete: async ({ files }) => files,
  abort: async () => undefined,
};
