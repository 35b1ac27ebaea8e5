// Groups of pictures that are the same: exactly (same bytes) or nearly (difference hashes that differ in a few bits).

export interface Hashes {
  readonly contentHash: string;
  readonly differenceHash: string;
}

export interface DuplicateGroups {
  /** Number of the group of each picture, in the order given; null without a double. */
  readonly groups: readonly (number | null)[];
  /** Whether another picture has the same bytes. */
  readonly exact: readonly boolean[];
}

/** Bits of 64 in which scaled or compressed copies differ at most. */
const NEAR_BITS = 5;

/** Compares each with each: a second for ten thousand. Plain pictures, whose hash says nothing, are near to none. */
export function findDuplicates(pictures: readonly (Hashes | null)[]): DuplicateGroups {
  const parent = pictures.map((_, index) => index);
  const rootOf = (index: number): number => {
    let root = index;
    while (parent[root] !== root) root = parent[root]!;
    parent[index] = root;
    return root;
  };
  const join = (a: number, b: number): void => {
    const [low, high] = [Math.min(rootOf(a), rootOf(b)), Math.max(rootOf(a), rootOf(b))];
    parent[high] = low;
  };
  const first = new Map<string, number>();
  const exact = pictures.map(() => false);
  pictures.forEach((picture, index) => {
    if (!picture) return;
    const before = first.get(picture.contentHash);
    if (before === undefined) first.set(picture.contentHash, index);
    else {
      exact[index] = true;
      exact[before] = true;
      join(before, index);
    }
  });
  const highs = Int32Array.from(pictures, (picture) => (picture ? Number.parseInt(picture.differenceHash.slice(0, 8), 16) : 0));
  const lows = Int32Array.from(pictures, (picture) => (picture ? Number.parseInt(picture.differenceHash.slice(8), 16) : 0));
  const isTelling = (index: number): boolean => {
    const bits = bitCount(highs[index]!) + bitCount(lows[index]!);
    return pictures[index] !== null && bits > NEAR_BITS && bits < 64 - NEAR_BITS;
  };
  const telling = pictures.flatMap((_, index) => (isTelling(index) ? [index] : []));
  for (let i = 0; i < telling.length; i++) {
    const a = telling[i]!;
    for (let j = i + 1; j < telling.length; j++) {
      const b = telling[j]!;
      if (bitCount(highs[a]! ^ highs[b]!) + bitCount(lows[a]! ^ lows[b]!) <= NEAR_BITS) join(a, b);
    }
  }
  const sizes = new Map<number, number>();
  pictures.forEach((_, index) => sizes.set(rootOf(index), (sizes.get(rootOf(index)) ?? 0) + 1));
  const numbers = new Map<number, number>();
  const groups = pictures.map((picture, index) => {
    const root = rootOf(index);
    if (!picture || sizes.get(root) === 1) return null;
    if (!numbers.has(root)) numbers.set(root, numbers.size + 1);
    return numbers.get(root)!;
  });
  return { groups, exact };
}

/** Ones among the 32 bits of a number. */
function bitCount(value: number): number {
  let bits = value - ((value >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
