/** One way to be let in that a client can take (RFC 9110 section 11.6.1; RFC 6750, `token.md`). */
export interface Challenge {
  readonly scheme: "basic" | "bearer";
  readonly realm: string;
  readonly service: string | undefined;
  readonly scope: string | undefined;
}

/**
 * Reads the Basic and Bearer challenges of a `WWW-Authenticate`. Never fails: what is not understood is
 * left out, and of a repeated parameter the first counts.
 */
export function parseChallenges(value: string): Challenge[] {
  const drafts: { scheme: string; parameters: Map<string, string> }[] = [];
  for (let position = 0; position < value.length && drafts.length < MAX_CHALLENGES;) {
    ELEMENT.lastIndex = position;
    const element = ELEMENT.exec(value);
    if (element === null) {
      const comma = value.indexOf(",", position);
      position = comma < 0 ? value.length : comma + 1;
      continue;
    }
    position = ELEMENT.lastIndex;
    const name = (element[1] ?? "").toLowerCase();
    const content = element[2]?.replace(/\\(.)/g, "$1") ?? element[3];
    const parameters = drafts.at(-1)?.parameters;
    if (content === undefined) drafts.push({ scheme: name, parameters: new Map() });
    else if (parameters !== undefined && !parameters.has(name)) parameters.set(name, content);
  }
  return drafts.flatMap(({ scheme, parameters }) => {
    const realm = parameters.get("realm") ?? "";
    if (scheme !== "basic" && !(scheme === "bearer" && realm !== "")) return [];
    return [{ scheme, realm, service: parameters.get("service"), scope: parameters.get("scope") }];
  });
}

/** A token, with a value where an equals sign and one follow; the padding of a token68 is passed over. */
const ELEMENT = /[\s,]*([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"=][^\s,"]*)))?=*/y;
/** A registry offers one or two. */
const MAX_CHALLENGES = 32;

/** Writes a challenge as one element of a `WWW-Authenticate`. */
export function writeChallenge({ scheme, realm, service, scope }: Challenge): string {
  const quote = (text: string) => `"${text.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, "\\$&")}"`;
  const parameters = [
    ["realm", realm],
    ["service", service],
    ["scope", scope],
  ] as const;
  const written = parameters.flatMap(([name, text]) => (text === undefined ? [] : [`${name}=${quote(text)}`]));
  return `${scheme === "basic" ? "Basic" : "Bearer"} ${written.join(",")}`;
}
