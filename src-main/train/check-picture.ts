// Whether a picture that is asked for can be painted at all.
import { UserError } from '../base/errors.ts';
import type { Model, NoiseSettings } from '../catalog/define/family.ts';
import { checkSteps } from '../catalog/define/timesteps.ts';
import { samplers } from '../catalog/samplers/index.ts';
import type { PictureSettings } from './picture.ts';

/** Errors: `picture.size`, `picture.sampler`, `picture.steps`. @param noise as the pictures are painted with */
export function checkPicture({ width, height, sampler, steps }: PictureSettings, { pixelStep: step }: Pick<Model, 'pixelStep'>, { steps: timesteps }: Pick<NoiseSettings, 'steps'>): void {
  if (width % step !== 0 || height % step !== 0) {
    const near = (side: number): number => Math.max(1, Math.round(side / step)) * step;
    throw new UserError('picture.size', `A picture of ${width} x ${height} pixels cannot be painted, because this model wants multiples of ${step}: choose ${near(width)} x ${near(height)}.`, { width, height, step });
  }
  if (!Object.hasOwn(samplers, sampler)) {
    throw new UserError('picture.sampler', `There is no sampler "${sampler}": choose one of ${Object.keys(samplers).join(', ')}.`, { sampler });
  }
  checkSteps(timesteps, steps);
}
