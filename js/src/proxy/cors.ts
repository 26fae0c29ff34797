import { ProxyError } from "./error.js";

/** Whose pages may use the proxy: origins such as `https://app.example`, all, or what a function says. */
export type AllowOrigins = readonly string[] | "*" | ((origin: string) => boolean);

/**
 * Decides whether a browser may let the page that sent a request read the answer, and returns the
 * fields that tell it so. Throws where it may not, before a registry is asked.
 *
 * A request without `Origin` is the proxy's own page's, or no page's. What `<img>` and its like send
 * for other sites is told from that by `Sec-Fetch-Site`.
 */
export function admit(request: Request, url: URL, allowed: AllowOrigins): Record<string, string> {
  const origin = request.headers.get("origin");
  if (origin === null) {
    const site = request.headers.get("sec-fetch-site");
    if (site === "cross-site" || site === "same-site") throw denied();
    return allowed === "*" ? { "access-control-allow-origin": "*", ...EXPOSED } : { vary: "Origin" };
  }
  if (allowed === "*") return { "access-control-allow-origin": "*", ...EXPOSED };
  const listed = typeof allowed === "function" ? allowed(origin) : allowed.includes(origin);
  // By host, for TLS may end before the proxy.
  const own = URL.canParse(origin) && new URL(origin).host === url.host;
  if (!listed && !own) throw denied();
  return { "access-control-allow-origin": origin, vary: "Origin", ...EXPOSED };
}

function denied(): ProxyError {
  return new ProxyError("DENIED", "the proxy does not serve this origin", { headers: { vary: "Origin" } });
}

/** Answers a preflight for an origin that was admitted. */
export function preflight(cors: Readonly<Record<string, string>>): Response {
  return new Response(null, {
    status: 204,
    headers: {
      ...cors,
      "access-control-allow-methods": "GET, HEAD, POST",
      "access-control-allow-headers": "Accept, Authorization, Content-Type, If-None-Match, If-Range, Range",
      // Chromium keeps it for two hours at the most.
      "access-control-max-age": "7200",
    },
  });
}

/** What the proxy passes on of a registry's answer; everything else, `Set-Cookie` first, stays behind. */
export const PASSED: readonly string[] = [
  "accept-ranges",
  "content-length",
  "content-range",
  "docker-content-digest",
  "docker-distribution-api-version",
  "docker-ratelimit-source",
  "etag",
  "last-modified",
  "oci-filters-applied",
  "ratelimit-limit",
  "ratelimit-remaining",
  "retry-after",
  "warning",
];

const EXPOSED: Readonly<Record<string, string>> = {
  "access-control-expose-headers": [...PASSED, "content-type", "link", "www-authenticate"].join(", "),
};
