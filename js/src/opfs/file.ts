import { OciError, storageError } from "../errors.js";

/** Writes one new file in the origin private file system, from its beginning to its end. */
export interface FileWriter {
  /** The bytes are lent until this returns, or until its promise settles. */
  write(bytes: Uint8Array<ArrayBuffer>): void | Promise<void>;
  close(): Promise<void>;
  /** Takes the file away again. */
  abort(): Promise<void>;
}

/**
 * Opens a writer: through a synchronous handle where there are such handles, which is in dedicated
 * Workers alone, else through a stream.
 */
export async function fileWriter(directory: FileSystemDirectoryHandle, name: string): Promise<FileWriter> {
  try {
    const file = await directory.getFileHandle(name, { create: true });
    const remove = (): Promise<void> => removeFile(directory, name);
    const access = await synchronous(file);
    if (access !== undefined) return new SynchronousWriter(access, remove);
    return new StreamWriter(await file.createWritable(), remove);
  } catch (error) {
    throw storageError(`cannot create ${name} in the origin private file system`, error);
  }
}

/** Writes a small file whole; whoever reads its name finds the old content or the new one. */
export async function writeFile(
  directory: FileSystemDirectoryHandle,
  name: string,
  content: string | Uint8Array<ArrayBuffer>,
): Promise<void> {
  try {
    const file = await directory.getFileHandle(name, { create: true });
    const stream = await file.createWritable();
    try {
      await stream.write(content);
      await stream.close();
    } catch (error) {
      await stream.abort().catch(() => undefined);
      throw error;
    }
  } catch (error) {
    throw storageError(`cannot write ${name} into the origin private file system`, error);
  }
}

/** Opens a file to read; `undefined` where there is none. */
export async function openFile(directory: FileSystemDirectoryHandle, name: string): Promise<File | undefined> {
  try {
    return await (await directory.getFileHandle(name)).getFile();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw storageError(`cannot open ${name} in the origin private file system`, error);
  }
}

/** Removes a file or a whole directory; it need not be there. */
export async function removeFile(directory: FileSystemDirectoryHandle, name: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await directory.removeEntry(name, { recursive: true });
    } catch (error) {
      if (isMissing(error)) return;
      if (!isLocked(error)) throw storageError(`cannot remove ${name} from the origin private file system`, error);
      // Whoever has it open longer leaves it to the next sweep.
      if (tries === REMOVALS) return;
    }
    await new Promise((resolve) => setTimeout(resolve, tries * UNLOCKING));
  }
}

/** A Worker that was just ended keeps its files locked for a moment. */
const REMOVALS = 5;
const UNLOCKING = 10;

function isMissing(error: unknown): boolean {
  return error instanceof DOMException && error.name === "NotFoundError";
}

function isLocked(error: unknown): boolean {
  return error instanceof DOMException && error.name === "NoModificationAllowedError";
}

/** The synchronous handle, which the library of types for pages leaves out. */
interface SynchronousAccess {
  write(bytes: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  flush(): void;
  close(): void;
}

async function synchronous(file: FileSystemFileHandle): Promise<SynchronousAccess | undefined> {
  const maker = file as { createSyncAccessHandle?: () => Promise<SynchronousAccess> };
  if (maker.createSyncAccessHandle === undefined) return undefined;
  try {
    return await maker.createSyncAccessHandle();
  } catch (error) {
    // Directories that the user has picked are outside the private file system, and have none.
    if (error instanceof DOMException && error.name === "InvalidStateError") return undefined;
    throw error;
  }
}

class SynchronousWriter implements FileWriter {
  readonly #access: SynchronousAccess;
  readonly #remove: () => Promise<void>;
  #length = 0;

  constructor(access: SynchronousAccess, remove: () => Promise<void>) {
    this.#access = access;
    this.#remove = remove;
  }

  write(bytes: Uint8Array<ArrayBuffer>): void {
    for (let rest = bytes; rest.length > 0; ) {
      const written = this.#write(rest);
      this.#length += written;
      rest = rest.subarray(written);
    }
  }

  async close(): Promise<void> {
    try {
      this.#access.flush();
      this.#access.close();
    } catch (error) {
      throw storageError(WRITING, error);
    }
  }

  async abort(): Promise<void> {
    this.#access.close();
    await this.#remove();
  }

  #write(bytes: Uint8Array<ArrayBuffer>): number {
    let written: number;
    try {
      written = this.#access.write(bytes, { at: this.#length });
    } catch (error) {
      throw storageError(WRITING, error);
    }
    // Short writes come before the error; a write of nothing would be repeated for ever.
    if (written === 0) throw new OciError("quota-exceeded", WRITING, { errorClass: "local" });
    return written;
  }
}

class StreamWriter implements FileWriter {
  readonly #stream: FileSystemWritableFileStream;
  readonly #remove: () => Promise<void>;

  constructor(stream: FileSystemWritableFileStream, remove: () => Promise<void>) {
    this.#stream = stream;
    this.#remove = remove;
  }

  async write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      await this.#stream.write(bytes);
    } catch (error) {
      throw storageError(WRITING, error);
    }
  }

  async close(): Promise<void> {
    try {
      await this.#stream.close();
    } catch (error) {
      throw storageError(WRITING, error);
    }
  }

  async abort(): Promise<void> {
    await this.#stream.abort().catch(() => undefined);
    await this.#remove();
  }
}

const WRITING = "cannot write into the origin private file system";
