import { Access, type Operation, type ResolveOutcome } from "./access.js";
import { Verifying, type Consumer } from "./blobs.js";
import type { BlobDestination, BlobStaging } from "./destination.js";
import type { Decoding, LayerFeed } from "./layer.js";
import type { Machine } from "./machine.js";
import { specOf } from "./pull.js";
import type { Source } from "./source.js";
import type { CopiedImage, Descriptor, LayerDescriptor, Limits, RawManifest } from "./types.js";

/** What is copied, and where to. */
export interface BlobCopy {
  readonly sources: readonly (string | Source)[];
  readonly destination: BlobDestination;
  readonly platforms: "one" | "all";
  readonly decoding: Decoding;
  readonly limits: Partial<Limits>;
}

/** Copies images as they were served: manifests byte for byte, and every blob below them. */
export async function copyBlobs(operation: Operation, copy: BlobCopy): Promise<CopiedImage[]> {
  const { sources, destination, limits } = copy;
  const { platform, signal } = operation;
  const references = sources.map((source) => (typeof source === "string" ? source : source.name));
  const staging = await destination.begin({ references, platform, paths: [], limits, signal });
  try {
    const copied: CopiedImage[] = [];
    for (const source of sources) {
      const access = await Access.open(operation, source);
      try {
        copied.push(await copyOne(access, copy, staging));
      } finally {
        access.close();
      }
    }
    return copied;
  } catch (error) {
    // What cannot be removed now is the next pull's to remove; this error is what the caller has to know.
    await staging.abort(error).catch(() => undefined);
    throw error;
  }
}

/** What a destination gets for one source. */
interface Plan {
  /** What the destination will name. */
  readonly named: RawManifest;
  readonly small: readonly { readonly descriptor: Descriptor; readonly bytes: Uint8Array }[];
  /** Blobs of images that can be unpacked have diff_ids: they are decoded too, to verify these. */
  readonly blobs: readonly LayerDescriptor[];
}

async function copyOne(access: Access, copy: BlobCopy, staging: BlobStaging): Promise<CopiedImage> {
  const plan = copy.platforms === "one" ? await planOfImage(access) : await planOfEverything(access);
  const blobs = [...new Map(plan.blobs.map((blob) => [blob.digest, blob])).values()];
  await access.transfer(
    async () => {
      const present = await Promise.all(blobs.map((blob) => staging.has(blob)));
      return blobs.filter((_, index) => present[index] !== true);
    },
    (blob) => writing(access, copy, staging, blob),
  );
  for (const { descriptor, bytes } of plan.small) await staging.keep(descriptor, bytes);
  const { digest, mediaType } = plan.named;
  const warnings = await staging.complete(descriptorOf(plan.named), access.reference);
  for (const warning of warnings) access.operation.warnings.add(warning);
  return { source: access.typed, digest, mediaType, warnings: [...access.operation.warnings] };
}

async function planOfImage(access: Access): Promise<Plan> {
  const image = await access.image("any");
  access.announce(image);
  const { manifest, configDescriptor, configBytes } = image;
  return {
    named: manifest,
    small: [
      { descriptor: configDescriptor, bytes: configBytes },
      { descriptor: descriptorOf(manifest), bytes: manifest.bytes },
    ],
    blobs: image.layers,
  };
}

function planOfEverything(access: Access): Promise<Plan> {
  return access.resolve({ kind: "manifest" }, (resolved: Machine) =>
    access.run(
      (machines, session) => resolved.call((top) => machines.closure(session, top)),
      (machine) => {
        const outcome = JSON.parse(machine.call((machine) => machine.outcome())) as ClosureOutcome;
        const small = outcome.manifests.map((descriptor, index) => {
          return { descriptor, bytes: machine.call((machine) => machine.manifestBytes(index)) };
        });
        const { top } = JSON.parse(resolved.call((machine) => machine.outcome())) as ResolveOutcome;
        const bytes = resolved.call((machine) => machine.bytes("top"));
        const named = { digest: top.digest, mediaType: top.mediaType, bytes };
        return { named, small, blobs: outcome.blobs };
      },
    ),
  );
}

function descriptorOf({ digest, mediaType, bytes }: RawManifest): Descriptor {
  return { digest, mediaType, size: bytes.length };
}

interface ClosureOutcome {
  readonly manifests: readonly Descriptor[];
  readonly blobs: readonly LayerDescriptor[];
}

/** Verifies a blob while it is written to the destination. */
async function writing(
  access: Access,
  copy: BlobCopy,
  staging: BlobStaging,
  blob: LayerDescriptor,
): Promise<Consumer> {
  const writer = await staging.open(blob);
  const check = await checking(access, copy, blob);
  return {
    async write(chunk): Promise<void> {
      await check.write(chunk);
      await writer.write(chunk);
    },
    async finish(): Promise<void> {
      await check.finish();
      await writer.commit();
    },
    async abort(reason): Promise<void> {
      await check.abort(reason);
      await writer.abort();
    },
  };
}

async function checking(access: Access, copy: BlobCopy, blob: LayerDescriptor): Promise<Consumer | LayerFeed> {
  if (blob.diffId === undefined) return new Verifying(access.operation.engine, blob);
  return copy.decoding.open(specOf(blob, copy.limits), { kind: "none" });
}
