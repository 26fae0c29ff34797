export type { Artifact, ArtifactFile, WasmBinary, WasmKind } from "./artifact.js";
export type { BlobCache, CachedBlob } from "./cache.js";
export { edgeCache, type EdgeCacheOptions } from "./caches/cache-api.js";
export { memoryCache } from "./caches/memory.js";
export { Client, type CallOptions, type CopyOptions, type PullOptions } from "./client.js";
export type {
  BlobDestination,
  BlobStaging,
  BlobWriter,
  Destination,
  ImageStore,
  MergedImage,
  MergedLayer,
  PullContext,
  Staging,
  StoredImage,
} from "./destination.js";
export { into } from "./destinations/into.js";
export { memory } from "./destinations/memory.js";
export { OciError, type ErrorClass, type ErrorCode } from "./errors.js";
export type { DecodedLayer, Decoding, LayerFeed, LayerReport, LayerSpec, Pack, PackPlace } from "./layer.js";
export { decodeName, encodeName } from "./name.js";
export type { Entry, EntryKind } from "./record.js";
export type { ClientOptions, TokenEndpoint } from "./settings.js";
export type { Source, SourceImage, SourceOptions } from "./source.js";
export { archive, type ArchiveOptions } from "./sources/archive.js";
export type { LocalPlace } from "./sources/named.js";
export { staticLayout, type StaticLayoutOptions } from "./sources/static-layout.js";
export type { Extent, MergedTree } from "./tree.js";
export type * from "./types.js";
