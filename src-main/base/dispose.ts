// Giving back what holds memory outside of JavaScript's own, also when something fails half-way.

export interface Disposable {
  dispose(): void | Promise<void>;
}

/** Disposes of all, the last made first. One that fails does not keep the others; the first failure is thrown at the end. */
export async function disposeAll(items: Iterable<Disposable>): Promise<void> {
  const failures: unknown[] = [];
  for (const item of [...items].reverse()) {
    try {
      await item.dispose();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

export type Keep = <T extends Disposable>(item: T) => T;

/** Runs `work`; what it hands to `keep` is disposed of when it has ended, well or not. A failure of `work` is what is thrown. */
export async function scoped<T>(work: (keep: Keep) => Promise<T>): Promise<T> {
  const kept: Disposable[] = [];
  let result: T;
  try {
    result = await work((item) => {
      kept.push(item);
      return item;
    });
  } catch (error) {
    await disposeAll(kept).catch(() => undefined);
    throw error;
  }
  await disposeAll(kept);
  return result;
}

/** Runs `work`; only when it fails, what it handed to `keep` is disposed of. */
export async function keptUnlessFailed<T>(work: (keep: Keep) => Promise<T>): Promise<T> {
  const kept: Disposable[] = [];
  try {
    return await work((item) => {
      kept.push(item);
      return item;
    });
  } catch (error) {
    await disposeAll(kept).catch(() => undefined);
    throw error;
  }
}
