/**
 * Says the core's advice in this package's words: the core names the command line's options.
 */
export function adviceHere(advice: string): string {
  return WORDS.reduce((text, [theirs, ours]) => text.replace(theirs, ours), advice)
    .replace(/ ?\(Limits::\w+\)/g, "")
    .replace(/--max-([a-z-]+)/g, (_, name: string) => `limits.${camelCase(name)}`)
    .replace(/--([a-z][a-z-]*)/g, (_, name: string) => `the option ${camelCase(name)}`);
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** What cannot be said by changing an option's name alone. */
const WORDS: readonly (readonly [string, string])[] = [
  ["pass a certificate that the registry trusts with --cert-file and --key-file", "have the runtime present a certificate that the registry trusts"],
  ["pass its certificate authority with --ca-file", "have the runtime trust its certificate authority"],
  ["log in (docker login, podman login) or pass --username with --password-stdin", "give credentials with the option auth"],
  ["pass the registry's certificate authority with --ca-file", "have the runtime trust the registry's certificate authority"],
];
