import { asyncDispose, dispose } from "./disposal.js";
import type { Counts, ImageConfig, ImageFileSystem, PulledImage, RawManifest, Report, ResolvedImage } from "./types.js";

/** What a {@link Pulled} is made of. */
export interface PulledParts {
  readonly images: readonly ResolvedImage[];
  readonly counts: Counts;
  readonly report: Report;
  readonly warnings: readonly string[];
  readonly files: ImageFileSystem;
}

/** The result of a pull: what was resolved, what it came to, and its files. */
export class Pulled implements PulledImage {
  readonly digest: string;
  readonly manifest: RawManifest;
  readonly config: ImageConfig | undefined;
  readonly images: readonly ResolvedImage[];
  readonly counts: Counts;
  readonly report: Report;
  readonly warnings: readonly string[];
  readonly files: ImageFileSystem;

  constructor(parts: PulledParts) {
    const last = parts.images.at(-1);
    if (last === undefined) throw new RangeError("a pull of nothing");
    this.digest = last.digest;
    this.manifest = last.manifest;
    this.config = last.config;
    this.images = parts.images;
    this.counts = parts.counts;
    this.report = parts.report;
    this.warnings = parts.warnings;
    this.files = parts.files;
  }

  close(): void {
    this.files.close();
  }

  [dispose](): void {
    this.close();
  }

  async [asyncDispose](): Promise<void> {
    await this.files[asyncDispose]();
  }
}

/** Joins two reports. */
export function joinReports(one: Report, other: Report | undefined): Report {
  if (other === undefined) return one;
  const counts: Record<string, number> = { ...one.counts };
  for (const [what, count] of Object.entries(other.counts)) counts[what] = (counts[what] ?? 0) + count;
  return { skipped: [...one.skipped, ...other.skipped], counts };
}
