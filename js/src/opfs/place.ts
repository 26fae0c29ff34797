import { OciError } from "../errors.js";

/** Returns the directory that was chosen, or this package's own in the origin private file system. */
export async function storeDirectory(chosen: FileSystemDirectoryHandle | undefined): Promise<FileSystemDirectoryHandle> {
  const { storage, locks } = globalThis.navigator as {
    readonly storage?: { getDirectory?(): Promise<FileSystemDirectoryHandle> };
    readonly locks?: LockManager;
  };
  if (storage?.getDirectory === undefined || locks === undefined) {
    throw new OciError("not-supported", "this runtime has no origin private file system", {
      errorClass: "unsupported",
      advice: "pages have it in secure contexts only: use https, or localhost",
    });
  }
  return chosen ?? (await storage.getDirectory()).getDirectoryHandle(DIRECTORY, { create: true });
}

/** Names the locks of a directory; two that share a name merely wait for each other. */
export async function scopeOf(directory: FileSystemDirectoryHandle): Promise<string> {
  const root = await navigator.storage.getDirectory();
  const path = await root.resolve(directory);
  return `oci-fetcher:${path === null ? directory.name : `/${path.join("/")}`}`;
}

/** The store's name in the origin private file system. */
const DIRECTORY = "oci-fetcher";
