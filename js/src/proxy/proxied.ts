/**
 * Leads a client's requests through the proxy at the address `proxy`.
 *
 * The registry's address becomes a path below the proxy's: with the proxy at `https://app.example/oci`,
 * `https://ghcr.io/v2/a/tags/list` becomes `https://app.example/oci/https/ghcr.io/v2/a/tags/list`.
 * In a page, `proxy` may be a path of the page's own origin.
 *
 * ```js
 * import { Client, memory } from "oci-fetcher";
 * import { proxied } from "oci-fetcher/proxy";
 *
 * const client = new Client({ rewriteUrl: proxied("https://app.example/oci") });
 * const image = await client.pull("alpine:3.20", { to: memory() });
 * ```
 */
export function proxied(proxy: string | URL): (url: URL) => URL {
  const base = new URL(proxy, globalThis.location?.href);
  const folder = base.pathname.replace(/\/*$/, "/");
  return (url) => {
    if (url.origin === base.origin && url.pathname.startsWith(folder)) return url;
    const scheme = url.protocol.slice(0, -1);
    const target = new URL(base);
    target.pathname = `${folder}${scheme}/${url.host}${url.pathname}`;
    target.search = url.search;
    target.hash = "";
    return target;
  };
}
