import type { MergedImage } from "../destination.js";
import { engine } from "../engine.js";
import { closed, storageError } from "../errors.js";
import type { DecodedLayer, Pack } from "../layer.js";
import type { Entry } from "../record.js";
import { chunksOf } from "../stream.js";
import { mergeLayers, type Extent, type MergedTree } from "../tree.js";
import type { Counts, ImageFileSystem, Report } from "../types.js";
import { FileNames } from "./file-name.js";
import { fileWriter, openFile, writeFile } from "./file.js";
import { damaged, type OpenedImage } from "./opened.js";
import { packOf } from "./pack.js";
import type { ImageRecord } from "./record.js";

// With a file an entry, a directory of the store holds the image's directories and regular files in
// `files`, under their own names as far as browsers take them. Beside it lies each layer's index, from
// which the tree with its links and all metadata is merged again. A file of several names is there once.

/** Writes an image as a tree of files; nothing leads to it yet. */
export async function writeTree(root: FileSystemDirectoryHandle, image: MergedImage): Promise<void> {
  for (const [at, { layer }] of image.layers.entries()) {
    await writeFile(root, indexName(at), new Uint8Array(layer.index));
  }
  const files = await root.getDirectoryHandle(FILES, { create: true });
  for (const { entry, place } of places(image.tree)) {
    const directory = await directoryAt(files, place.slice(0, -1));
    if (entry.kind === "directory") await directoryAt(directory, place.slice(-1));
    else if (isOwn(entry)) await copy(image.files, entry.path, directory, place.at(-1) ?? "");
  }
}

/** Opens such a tree. */
export async function openTree(root: FileSystemDirectoryHandle, record: ImageRecord): Promise<OpenedImage> {
  const layers: DecodedLayer[] = [];
  for (const [at, { digest, size, diffId, packLength }] of record.layers.entries()) {
    const file = await openFile(root, indexName(at));
    if (file === undefined) throw damaged(record.name);
    const report = { digest, size, diffId, tarSize: 0, entries: 0, warnings: [] };
    layers.push({ index: new Uint8Array(await file.arrayBuffer()), pack: new NoPack(packLength), report });
  }
  const { limits, paths } = record;
  const tree = await mergeLayers(await engine(), layers, { limits, paths, names: "any" });
  return { ...readTree(await root.getDirectoryHandle(FILES), tree), warnings: [] };
}

/** Reads a merged tree whose regular files are files of their own: each is shown as a pack. */
export function readTree(files: FileSystemDirectoryHandle, tree: MergedTree): Pick<OpenedImage, "tree" | "packs"> {
  const packs: Pack[] = [];
  const packOfNode = new Map<number, number>();
  for (const { entry, place } of places(tree)) {
    if (!isOwn(entry)) continue;
    packOfNode.set(entry.node, packs.length);
    packs.push(new TreeFile(files, place, entry.size));
  }
  return { tree: new FilesTree(tree, packOfNode, packs), packs };
}

interface Place {
  readonly entry: Entry;
  /** Names of directories, and of the entry itself, in the private file system. */
  readonly place: readonly string[];
}

/** Yields every entry but the root with its place, which is the same each time. */
function* places(tree: MergedTree): Generator<Place, void, void> {
  const directories = new Map([["", { place: [] as readonly string[], names: new FileNames() }]]);
  for (const entry of tree.walk()) {
    if (entry.path === "") continue;
    const slash = entry.path.lastIndexOf("/");
    const parent = directories.get(entry.path.slice(0, Math.max(0, slash)));
    if (parent === undefined) throw new Error("an entry came before its directory");
    const place = [...parent.place, parent.names.of(entry.path.slice(slash + 1))];
    if (entry.kind === "directory") directories.set(entry.path, { place, names: new FileNames() });
    yield { entry, place };
  }
}

function isOwn({ kind, hardLinkTo }: Entry): boolean {
  return kind === "file" && hardLinkTo === "";
}

async function directoryAt(
  from: FileSystemDirectoryHandle,
  names: readonly string[],
): Promise<FileSystemDirectoryHandle> {
  let directory = from;
  try {
    for (const name of names) directory = await directory.getDirectoryHandle(name, { create: true });
  } catch (error) {
    throw storageError("cannot make a directory in the origin private file system", error);
  }
  return directory;
}

async function copy(
  files: ImageFileSystem,
  path: string,
  directory: FileSystemDirectoryHandle,
  name: string,
): Promise<void> {
  const content = await files.open(path);
  const writer = await fileWriter(directory, name);
  try {
    for await (const chunk of chunksOf(content)) await writer.write(chunk as Uint8Array<ArrayBuffer>);
    await writer.close();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** The merged tree, where each file's content is one run in a pack of its own. */
class FilesTree implements MergedTree {
  readonly counts: Counts;
  readonly report: Report;
  readonly #tree: MergedTree;
  readonly #packOfNode: ReadonlyMap<number, number>;
  readonly #packs: readonly Pack[];

  constructor(tree: MergedTree, packOfNode: ReadonlyMap<number, number>, packs: readonly Pack[]) {
    this.counts = tree.counts;
    this.report = tree.report;
    this.#tree = tree;
    this.#packOfNode = packOfNode;
    this.#packs = packs;
  }

  extents(node: number): Extent[] {
    const layer = this.#packOfNode.get(node) ?? -1;
    const length = this.#packs[layer]?.length ?? 0;
    return length === 0 ? [] : [{ offset: 0, layer, position: 0, length }];
  }

  stat(path: string, follow: boolean): Entry | undefined {
    return this.#tree.stat(path, follow);
  }

  readdir(path: string): Entry[] | undefined {
    return this.#tree.readdir(path);
  }

  walk(): IterableIterator<Entry> {
    return this.#tree.walk();
  }

  tarHeader(path: string): Uint8Array {
    return this.#tree.tarHeader(path);
  }

  tarTrailer(): Uint8Array {
    return this.#tree.tarTrailer();
  }

  close(): void {
    this.#tree.close();
  }
}

/** One regular file, opened when it is read first. */
class TreeFile implements Pack {
  readonly length: number;
  readonly #files: FileSystemDirectoryHandle;
  readonly #place: readonly string[];
  #opened: Promise<Pack> | undefined;
  #closed = false;

  constructor(files: FileSystemDirectoryHandle, place: readonly string[], length: number) {
    this.#files = files;
    this.#place = place;
    this.length = length;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#closed) throw closed("the file's content");
    this.#opened ??= this.#open();
    return (await this.#opened).read(offset, length);
  }

  close(): void {
    this.#closed = true;
    this.#opened = undefined;
  }

  async #open(): Promise<Pack> {
    const file = await openFile(await directoryAt(this.#files, this.#place.slice(0, -1)), this.#place.at(-1) ?? "");
    if (file === undefined || file.size !== this.length) throw damaged(this.#place.join("/"));
    return packOf(file);
  }
}

/** Stands for a pack whose contents are in files. */
class NoPack implements Pack {
  readonly length: number;

  constructor(length: number) {
    this.length = length;
  }

  read(): Promise<Uint8Array> {
    return Promise.reject(new Error("its contents are in files"));
  }

  close(): void {}
}

function indexName(layer: number): string {
  return `${layer}.index`;
}

/** The directory of contents within a tree's own. */
export const FILES = "files";
