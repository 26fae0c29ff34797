/** How far a host reaches, as the core's `Reach` has it. */
export type Reach = "loopback" | "link-local" | "private" | "special" | "public" | "name";

/**
 * Classifies the host of a URL. The URL standard has brought every spelling of an address (decimal,
 * hexadecimal, full-width dots) to one by then. An IPv4 address inside an IPv6 address counts for itself.
 */
export function reachOf(url: URL): Reach {
  const host = url.hostname.replace(/\.$/, "");
  if (host === "localhost" || host.endsWith(".localhost")) return "loopback";
  if (host.startsWith("[")) return reachOfV6(groups(host.slice(1, -1)));
  return /^\d+\.\d+\.\d+\.\d+$/.test(host) ? reachOfV4(host.split(".").map(Number)) : "name";
}

function reachOfV4([a = 0, b = 0, c = 0, d = 0]: readonly number[]): Reach {
  if (a === 127) return "loopback";
  // The second and third are the metadata services of Alibaba Cloud and Oracle Cloud.
  if (a === 169 && b === 254) return "link-local";
  if ((a === 100 && b === 100 && c === 100 && d === 200) || (a === 192 && b === 0 && c === 0 && d === 192)) {
    return "link-local";
  }
  if (a === 10 || (a === 172 && b >= 16 && b <= 31) || (a === 192 && b === 168)) return "private";
  if ((a === 100 && b >= 64 && b <= 127) || (a === 198 && (b === 18 || b === 19))) return "private";
  if (a === 0 || a >= 224 || (a === 192 && b === 0 && c === 0)) return "special";
  return "public";
}

function reachOfV6(group: readonly number[]): Reach {
  const [a = 0, b = 0, c = 0, , , , , last = 0] = group;
  const zero = (start: number, end: number) => group.slice(start, end).every((value) => value === 0);
  if (zero(0, 7) && last <= 1) return last === 1 ? "loopback" : "special";
  const inner = innerV4(group);
  if (inner !== undefined) return reachOfV4(inner);
  // The second is the metadata service of Amazon's cloud.
  if (a >= 0xfe80 && a <= 0xfebf) return "link-local";
  if (a === 0xfd00 && b === 0xec2 && zero(2, 7) && last === 0x254) return "link-local";
  if ((a >= 0xfc00 && a <= 0xfdff) || (a >= 0xfec0 && a <= 0xfeff)) return "private";
  if (a === 0x64 && b === 0xff9b && c === 1) return "private";
  // Teredo and multicast.
  if ((a === 0x2001 && b === 0) || a >= 0xff00) return "special";
  return "public";
}

/** The address inside an IPv4-mapped, -compatible or -translated, a NAT64 or a 6to4 address. */
function innerV4(group: readonly number[]): number[] | undefined {
  const bytes = (high = 0, low = 0) => [high >> 8, high & 0xff, low >> 8, low & 0xff];
  const prefix = group.slice(0, 6).join(":");
  if (V4_PREFIXES.has(prefix)) return bytes(group[6], group[7]);
  return group[0] === 0x2002 ? bytes(group[1], group[2]) : undefined;
}

const V4_PREFIXES: ReadonlySet<string> = new Set(
  [
    [0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0xffff],
    [0, 0, 0, 0, 0xffff, 0],
    [0x64, 0xff9b, 0, 0, 0, 0],
  ].map((prefix) => prefix.join(":")),
);

/** Reads an address as the URL standard serialises it: eight groups, one run of zeros left out. */
function groups(address: string): number[] {
  const [before = "", after] = address.split("::");
  const read = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const [head, tail] = [read(before), read(after ?? "")];
  return after === undefined ? head : [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}
