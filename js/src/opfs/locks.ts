/** Gives a lock back, and resolves when others can have it; more than once does nothing. */
export type Release = () => Promise<void>;

/** Locks which all tabs and Workers of an origin see, and which end with whoever holds them. */
export class Locks {
  readonly #scope: string;

  constructor(scope: string) {
    this.#scope = scope;
  }

  /** Waits for a lock. */
  async take(name: string, mode: LockMode): Promise<Release> {
    const release = await this.#request(name, { mode });
    if (release === undefined) throw new Error("a lock that was waited for did not come");
    return release;
  }

  /** Takes a lock for oneself, where nobody has it. */
  tryTake(name: string): Promise<Release | undefined> {
    return this.#request(name, { mode: "exclusive", ifAvailable: true });
  }

  /** Does something while holding a lock. */
  async within<T>(name: string, mode: LockMode, work: () => Promise<T>): Promise<T> {
    const release = await this.take(name, mode);
    try {
      return await work();
    } finally {
      await release();
    }
  }

  /** Does something to a layer that nobody uses. */
  ifUnused(key: string, work: () => Promise<void>): Promise<void> {
    return this.#ifFree(layerLock(key), work);
  }

  /** Does something to files whose {@link Hold} has ended. */
  ifUnheld(id: string, work: () => Promise<void>): Promise<void> {
    return this.#ifFree(holdLock(id), work);
  }

  async #ifFree(name: string, work: () => Promise<void>): Promise<void> {
    const release = await this.tryTake(name);
    if (release === undefined) return;
    try {
      await work();
    } finally {
      await release();
    }
  }

  #request(name: string, options: LockOptions): Promise<Release | undefined> {
    return new Promise((resolve, reject) => {
      const held = (lock: Lock | null): Promise<void> | undefined => {
        if (lock === null) {
          resolve(undefined);
          return undefined;
        }
        return new Promise<void>((end) => {
          resolve(async () => {
            end();
            // Only now is it free: in Firefox, not at once.
            await released;
          });
        });
      };
      const released = navigator.locks.request(`${this.#scope}/${name}`, options, held);
      released.catch(reject);
    });
  }
}

/**
 * What one pull or one open image keeps other tabs from removing: the layers that it uses, and the
 * files that it wrote itself.
 */
export class Hold {
  /** Part of the names of its files. */
  readonly id: string;
  readonly #locks: Locks;
  readonly #layers = new Map<string, Promise<Release>>();
  readonly #own: Release;

  static async begin(locks: Locks): Promise<Hold> {
    const id = crypto.randomUUID();
    return new Hold(locks, id, await locks.take(holdLock(id), "exclusive"));
  }

  private constructor(locks: Locks, id: string, own: Release) {
    this.#locks = locks;
    this.id = id;
    this.#own = own;
  }

  /** Keeps a layer from being removed. */
  async layer(key: string): Promise<void> {
    let taken = this.#layers.get(key);
    if (taken === undefined) {
      taken = this.#locks.take(layerLock(key), "shared");
      this.#layers.set(key, taken);
    }
    await taken;
  }

  async release(): Promise<void> {
    const layers = [...this.#layers.values()];
    this.#layers.clear();
    await this.#own();
    for (const taken of layers) await (await taken)();
  }
}

/** Held alone by whoever writes files with this id. */
function holdLock(id: string): string {
  return `hold/${id}`;
}

/** Shared by whoever uses a layer; held alone by whoever removes it. */
function layerLock(key: string): string {
  return `layer/${key}`;
}

/** Held while images become visible or invisible, and while what no image uses is removed. */
export const IMAGES = "images";
