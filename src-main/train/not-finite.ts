// Numbers that are not finite, by name: the first question after "the loss is NaN" is where.
import { UserError } from '../base/errors.ts';
import type { DeviceTensor } from '../runtime/runtime.ts';
import { gradientName } from './step-graph.ts';
import type { OpenModel } from './open-model.ts';
import type { TrainedValues } from './trained.ts';

const isBroken = (data: ArrayLike<number>): boolean => {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return true;
  return false;
};

/** `"a"`, or `"a" and 3 more`. */
const listed = ([first, ...more]: readonly string[]): string => `"${first}"${more.length > 0 ? ` and ${more.length} more` : ''}`;

/** Values that nobody could go on from are not saved. Error: `train.not-finite`. */
export function refuseBrokenValues(values: TrainedValues, step: number): void {
  const broken = [...values].filter(([, { data }]) => isBroken(data as Float32Array)).map(([name]) => name);
  if (broken.length === 0) return;
  throw new UserError('train.not-finite', `The trained values of ${listed(broken)} are no numbers any more at step ${step}: lower the learning rate; earlier checkpoints are kept.`, { step, tensors: broken.slice(0, 100) });
}

/** What went wrong in a step, at the end of its sentence: the trained tensors whose gradient is not finite. */
export async function brokenGradients(gradients: ReadonlyMap<string, DeviceTensor>): Promise<{ readonly text: string; readonly tensors: readonly string[] }> {
  const prefix = gradientName('');
  const tensors: string[] = [];
  for (const [name, tensor] of gradients) if (isBroken(await tensor.read() as Float32Array)) tensors.push(name.slice(prefix.length));
  const text = tensors.length === 0 ? 'the gradients of single layers are finite, their sum is not'
    : tensors.length === gradients.size ? 'all layers are concerned'
      : `${tensors.length} of ${gradients.size} gradients are concerned: ${listed(tensors)}`;
  return { text, tensors };
}

/** The loss is not finite before anything was trained. `weight` names a damaged one. */
export function notFiniteAtStart(loss: number, weight: string | null): UserError {
  const why = weight
    ? `"${weight}" of the model holds values that are no numbers, so its file is damaged: get it again`
    : 'the weights of the model are sound, so the numbers became too large on the way: train with train.dtype = "f32"';
  return new UserError('train.not-finite', `The loss (${loss}) is not finite before the first step: ${why}.`, { step: 0, ...(weight ? { tensors: [weight] } : {}) });
}

/** The first weight of the model with a value that is not finite. Reads all of them. */
export function brokenWeight({ files, readF32 }: Pick<OpenModel, 'files' | 'readF32'>): string | null {
  for (const [component, { tensors }] of files) {
    for (const name of tensors.keys()) if (isBroken(readF32(`${component}.${name}`))) return `${component}.${name}`;
  }
  return null;
}
