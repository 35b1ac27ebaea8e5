// "Did you mean": the known name that is nearest to a misspelt one.

/**
 * Damerau-Levenshtein distance in its restricted form (optimal string alignment): insertions, deletions,
 * substitutions and swaps of two neighbours cost 1 each. Case does not count.
 */
export function editDistance(left: string, right: string): number {
  const a = left.toLowerCase();
  const b = right.toLowerCase();
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) best = Math.min(best, (beforePrevious[j - 2] ?? 0) + 1);
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/** Nearest of `known` to `name`, or null when none is near enough to be a plausible misspelling. */
export function nearestName(name: string, known: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  if (best === null) return null;
  const limit = Math.max(1, Math.floor(Math.max(name.length, best.length) * 0.45));
  return bestDistance <= limit ? best : null;
}

/** What people mean by words that are no misspelling of any name. */
const MEANT: Readonly<Record<string, readonly string[]>> = {
  gpu: ['auto', 'cuda', 'webgpu'], nvidia: ['cuda'], directml: ['dml'], metal: ['webgpu'], mps: ['webgpu'], vulkan: ['webgpu'], rocm: ['webgpu'],
};

/** `" Did you mean 'rank'?"`, or the list of known names when nothing is near. Starts with a space. */
export function suggestion(name: string, known: readonly string[]): string {
  const meant = (Object.hasOwn(MEANT, name.toLowerCase()) ? MEANT[name.toLowerCase()]! : []).filter((one) => known.includes(one));
  if (meant.length > 0) return ` Did you mean ${meant.map((one) => `'${one}'`).join(' or ')}?`;
  const nearest = nearestName(name, known);
  if (nearest !== null) return ` Did you mean '${nearest}'?`;
  return known.length === 0 ? '' : ` Known here: ${known.join(', ')}.`;
}
