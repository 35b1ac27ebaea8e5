// A limited amount of values in memory, the longest unused ones go first.

export class MemoryStore<T> {
  readonly #limit: number;
  readonly #sizeOf: (value: T) => number;
  readonly #values = new Map<string, T>();
  #size = 0;

  constructor(limitBytes: number, sizeOf: (value: T) => number) {
    this.#limit = limitBytes;
    this.#sizeOf = sizeOf;
  }

  get(key: string): T | undefined {
    const value = this.#values.get(key);
    if (value !== undefined) {
      this.#values.delete(key);
      this.#values.set(key, value);
    }
    return value;
  }

  set(key: string, value: T): void {
    const before = this.#values.get(key);
    if (before !== undefined) this.#size -= this.#sizeOf(before);
    this.#values.delete(key);
    this.#values.set(key, value);
    this.#size += this.#sizeOf(value);
    for (const [oldest, old] of this.#values) {
      if (this.#size <= this.#limit || oldest === key) break;
      this.#values.delete(oldest);
      this.#size -= this.#sizeOf(old);
    }
  }
}
