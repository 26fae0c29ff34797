/**
 * What the proxy itself finds wrong. Where the distribution-spec has a code for it, that is the one.
 *
 * - `DENIED`: a registry, an origin or a request that the proxy does not serve
 * - `NAME_INVALID`: an address that is no read path of a registry
 * - `UNSUPPORTED`: a method that is not served
 * - `SIZE_INVALID`: an address, a header or a body beyond its limit
 * - `TOOMANYREQUESTS`: the registry wants the proxy to wait
 * - `REDIRECT_REFUSED`: the registry leads to where the proxy does not go
 * - `REALM_REFUSED`: the registry names no realm for tokens that the proxy goes to
 * - `UPSTREAM_UNREACHABLE`, `UPSTREAM_TIMEOUT`: no answer from the registry, or none in time
 */
export type ProxyErrorCode =
  | "DENIED"
  | "NAME_INVALID"
  | "UNSUPPORTED"
  | "SIZE_INVALID"
  | "TOOMANYREQUESTS"
  | "REDIRECT_REFUSED"
  | "REALM_REFUSED"
  | "UPSTREAM_UNREACHABLE"
  | "UPSTREAM_TIMEOUT";

/** An error that becomes an answer. */
export class ProxyError extends Error {
  readonly code: ProxyErrorCode;
  readonly status: number;
  /** Header fields that the answer carries. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ProxyErrorCode, message: string, options: ProxyErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ProxyError";
    this.code = code;
    this.status = options.status ?? STATUS[code];
    this.headers = options.headers ?? {};
  }

  /** The answer, in the distribution-spec's form ("Error Codes"). Causes stay with the proxy. */
  response(): Response {
    const body = JSON.stringify({ errors: [{ code: this.code, message: this.message }] });
    return new Response(body, {
      status: this.status,
      headers: { "content-type": "application/json", ...this.headers },
    });
  }
}

interface ProxyErrorOptions {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

const STATUS: Readonly<Record<ProxyErrorCode, number>> = {
  DENIED: 403,
  NAME_INVALID: 404,
  UNSUPPORTED: 405,
  SIZE_INVALID: 413,
  TOOMANYREQUESTS: 429,
  REDIRECT_REFUSED: 502,
  REALM_REFUSED: 502,
  UPSTREAM_UNREACHABLE: 502,
  UPSTREAM_TIMEOUT: 504,
};
