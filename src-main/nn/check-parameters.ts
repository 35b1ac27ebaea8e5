// Compares what a graph needs with what a weight file has.
import { UserError } from '../base/errors.ts';
import { isFloat, type StoredDType } from '../base/dtype.ts';
import { sameShape, showShape, type Shape } from '../base/shape.ts';
import type { Value } from '../graph/types.ts';

interface StoredTensor {
  readonly dtype: StoredDType;
  readonly shape: Shape;
}

const SHOWN = 5;

/** Index tables that some files carry and that follow from the configuration. */
const isIgnored = (key: string): boolean => key.endsWith('position_ids');

/**
 * Every parameter of component `part` among `leaves` must be in `tensors` with its shape and a float type, and nothing
 * else may be there. Throws UserError `model.parameters` with the first missing, mismatching and unknown keys.
 * @param leaves leaves of a graph by name: `<part>.<key of the file>` for parameters
 */
export function checkParameters(
  part: string, leaves: ReadonlyMap<string, Value>, tensors: ReadonlyMap<string, StoredTensor>,
): void {
  const prefix = `${part}.`;
  const needed = new Map<string, Shape>();
  for (const [name, value] of leaves) {
    const isParameter = value.leaf?.kind === 'weight' || value.leaf?.kind === 'trainable';
    if (isParameter && name.startsWith(prefix)) needed.set(name.slice(prefix.length), value.shape);
  }
  const missing: string[] = [];
  const wrong: string[] = [];
  for (const [key, shape] of needed) {
    const stored = tensors.get(key);
    if (!stored) missing.push(`${key} ${showShape(shape)}`);
    else if (!sameShape(stored.shape, shape)) wrong.push(`${key} is ${showShape(stored.shape)} instead of ${showShape(shape)}`);
    else if (!isFloat(stored.dtype)) wrong.push(`${key} holds ${stored.dtype} instead of floating-point numbers`);
  }
  const unknown = [...tensors].flatMap(([key, { shape }]) => (needed.has(key) || isIgnored(key) ? [] : [`${key} ${showShape(shape)}`]));
  const complaints = [describe('missing', missing), describe('of another kind', wrong), describe('unknown', unknown)].filter(Boolean);
  if (complaints.length === 0) return;
  throw new UserError(
    'model.parameters',
    `The weights of "${part}" do not fit its configuration (${part}/config.json, or that of the published kind): ${complaints.join('; ')}. Use the files that belong together.`,
    { part, missing, wrong, unknown },
  );
}

function describe(what: string, list: readonly string[]): string {
  if (list.length === 0) return '';
  const rest = list.length > SHOWN ? `, and ${list.length - SHOWN} more` : '';
  return `${list.length} ${what}: ${list.slice(0, SHOWN).join(', ')}${rest}`;
}
