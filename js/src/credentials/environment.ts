import { engine, type Border } from "../engine.js";
import { OciError } from "../errors.js";
import type { Credential, CredentialCallback } from "../types.js";
import { askHelper } from "./helper.js";
import { placesOf, readPlace, type Place } from "./place.js";

/** Where credentials are looked for. */
export interface EnvironmentOptions {
  /** This file alone, which must exist: `config.json` is read as docker's, any other name as podman's. */
  readonly file?: string;
  /** The variables that name the places and that helpers run with; the process's own by default. */
  readonly variables?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds that one helper may take; half a minute by default. */
  readonly helperTime?: number;
}

/**
 * Looks where docker and podman keep credentials, in Node, Deno and Bun: what a client without `auth`
 * does there.
 *
 * The order is `DOCKER_AUTH_CONFIG` (a file's content), `$REGISTRY_AUTH_FILE`,
 * `$XDG_RUNTIME_DIR/containers/auth.json`, `/run/containers/$UID/auth.json`,
 * `$XDG_CONFIG_HOME/containers/auth.json` (or below `~/.config`), and `$DOCKER_CONFIG/config.json` (or below
 * `~/.docker`); the first entry that matches wins, and helpers that an entry names are asked.
 *
 * ```js
 * const client = new Client({ auth: environment({ file: "/run/secrets/auth.json" }) });
 * ```
 */
export function environment(options: EnvironmentOptions = {}): CredentialCallback {
  return async (registry, repository) => {
    for (const place of placesOf(options)) {
      const found = await search(place, registry, repository, options);
      if (found !== undefined) return credentialOf(found);
    }
    return undefined;
  };
}

/** What the core finds in a file for a repository. */
type Finding =
  | { readonly finding: "nothing" }
  | { readonly finding: "credential"; readonly credential: Found }
  | { readonly finding: "ask"; readonly program: string; readonly address: string; readonly otherwise: Finding };

/** A credential as the core has it. */
export type Found =
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  | { readonly kind: "identity-token" | "registry-token"; readonly token: string }
  | { readonly kind: "anonymous" };

async function search(
  place: Place,
  registry: string,
  repository: string,
  options: EnvironmentOptions,
): Promise<Found | undefined> {
  const bytes = readPlace(place);
  if (bytes === undefined) return undefined;
  const living = await engine();
  const finding = explained(place, () =>
    living.call((border) => findIn(border, place.kind, bytes, registry, repository)),
  );
  return follow(finding, place, options);
}

function findIn(border: Border, kind: Place["kind"], bytes: Uint8Array, registry: string, repository: string): Finding {
  const file = new border.AuthFile(kind, bytes);
  try {
    return JSON.parse(file.find(registry, repository)) as Finding;
  } finally {
    file.free();
  }
}

/** Asks the helpers that a finding names, until one has a credential or none is left. */
async function follow(found: Finding, place: Place, options: EnvironmentOptions): Promise<Found | undefined> {
  let finding = found;
  while (finding.finding === "ask") {
    const answer = await askHelper(finding, place, options);
    if (answer !== undefined) return answer;
    finding = finding.otherwise;
  }
  return finding.finding === "credential" ? finding.credential : undefined;
}

/** Says in which place a fault lies. No message shows a file's content. */
function explained<T>(place: Place, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    throw new OciError(error.code, `cannot use the credentials in ${place.name}`, {
      errorClass: "authentication",
      advice: error.advice === undefined ? `correct ${place.name}` : `in ${place.name}: ${error.advice}`,
      cause: error,
    });
  }
}

function credentialOf(found: Found): Credential | undefined {
  switch (found.kind) {
    case "basic":
      return { username: found.username, password: found.password };
    case "identity-token":
      return { identityToken: found.token };
    case "registry-token":
      return { registryToken: found.token };
    case "anonymous":
      return undefined;
  }
}
