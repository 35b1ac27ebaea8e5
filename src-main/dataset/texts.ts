// Text embeddings: encoded once, kept on disk, made on demand where captions are shuffled.
import { assert } from '../base/errors.ts';
import { cacheKey, rowOf, stackRows, TensorCache, type Tensor } from './cache.ts';
import { MemoryStore } from './memory.ts';

export interface TextEmbedding {
  /** [tokens, width], or [count, tokens, width] for several texts. */
  readonly context: Tensor;
  /** [width], or [count, width]. */
  readonly pooled?: Tensor;
}

export interface EncodeTextsOptions {
  readonly cacheDir: string;
  /** Changes with the weights of the text encoders, the tokenizer and how they compute. */
  readonly encoderId: string;
  /** Gives tensors with one row per text. */
  readonly encodeText: (texts: readonly string[]) => Promise<TextEmbedding> | TextEmbedding;
  readonly hasPooled: boolean;
  /** Texts that are encoded at once; 1 if left out, so that a result never depends on its neighbours. */
  readonly batchSize?: number;
  readonly memoryBytes?: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface TextStore {
  /** Embeddings of one text. Unknown texts are encoded and kept. */
  get(text: string): Promise<TextEmbedding>;
  /** Embeddings of several texts with a row each; they must have the same number of tokens. */
  batch(texts: readonly string[]): Promise<TextEmbedding>;
}

/**
 * Encodes `texts` (those not in the cache) and gives access to embeddings of any text. Errors: `files.*` when the
 * cache cannot be written, what `encodeText` throws, the reason of `signal`.
 */
export async function encodeTexts(texts: readonly string[], options: EncodeTextsOptions): Promise<TextStore> {
  const { encoderId, hasPooled, batchSize = 1, memoryBytes = 256 * 2 ** 20, onProgress, signal } = options;
  const cache = new TensorCache(options.cacheDir);
  const kept = new MemoryStore<TextEmbedding>(memoryBytes, ({ context, pooled }) =>
    context.data.byteLength + (pooled?.data.byteLength ?? 0));
  const keyOf = (text: string): string => cacheKey({ kind: 'text', text, encoderId });

  const find = async (text: string): Promise<TextEmbedding | null> => {
    const key = keyOf(text);
    const known = kept.get(key);
    if (known !== undefined) return known;
    const found = await cache.read(key, hasPooled ? ['context', 'pooled'] : ['context']);
    if (found !== null) kept.set(key, found);
    return found;
  };
  const make = async (batch: readonly string[]): Promise<TextEmbedding[]> => {
    const { context, pooled } = await options.encodeText(batch);
    assert(context.shape[0] === batch.length && (pooled !== undefined) === hasPooled,
      'the text encoder gave other tensors than it promised');
    const rows = batch.map((_, index): TextEmbedding => ({
      context: rowOf(context, index), ...(pooled === undefined ? {} : { pooled: rowOf(pooled, index) }),
    }));
    for (const [index, text] of batch.entries()) {
      await cache.write(keyOf(text), { ...rows[index]! });
      kept.set(keyOf(text), rows[index]!);
    }
    return rows;
  };
  const get = async (text: string): Promise<TextEmbedding> => await find(text) ?? (await make([text]))[0]!;

  const distinct = [...new Set(texts)];
  const missing: string[] = [];
  for (const text of distinct) {
    signal?.throwIfAborted();
    if (await find(text) === null) missing.push(text);
  }
  let done = distinct.length - missing.length;
  onProgress?.(done, distinct.length);
  for (let at = 0; at < missing.length; at += batchSize) {
    signal?.throwIfAborted();
    const batch = missing.slice(at, at + batchSize);
    await make(batch);
    done += batch.length;
    onProgress?.(done, distinct.length);
  }

  return {
    get,
    async batch(texts) {
      const rows: TextEmbedding[] = [];
      for (const text of texts) rows.push(await get(text));
      const context = stackRows(rows.map((row) => row.context));
      const pooled = hasPooled ? stackRows(rows.map((row) => row.pooled!)) : null;
      assert(context !== null, 'texts of a batch have embeddings of different length');
      return pooled === null ? { context } : { context, pooled };
    },
  };
}
