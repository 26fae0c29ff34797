/**
 * Lets timers, input and signals have their turn where this thread has worked for long without a pause.
 *
 * Bytes that come from memory never wait for anything, so that nothing else would make a pause.
 */
export function pause(): Promise<void> | undefined {
  const now = performance.now();
  if (now - last < SLICE) return undefined;
  return yielded().then(() => {
    last = performance.now();
  });
}

function yielded(): Promise<void> {
  const { scheduler, setImmediate } = globalThis as {
    readonly scheduler?: { yield?(): Promise<void> };
    readonly setImmediate?: (resume: () => void) => void;
  };
  if (setImmediate !== undefined) return new Promise((resolve) => setImmediate(resolve));
  if (scheduler?.yield !== undefined) return scheduler.yield();
  return new Promise((resolve) => setTimeout(resolve, 0));
}

let last = 0;

/** Milliseconds of work at once: one frame of a display. */
const SLICE = 12;
