// Pictures for comparing: with what runs learnt, with adapters, or with base models alone.

import { UserError } from '../base/errors.ts';
import type { PaintRequest, RequestOf } from '../contract/trainer.ts';
import { chooseRuntime, type ChosenRuntime } from '../train/choose-runtime.ts';
import { readRunJob } from '../train/open-run.ts';
import { Painter } from '../train/painter.ts';
import { savePicture, type PictureSettings } from '../train/picture.ts';
import { openBasePainting, openTrainedPainting } from '../train/sample-command.ts';
import type { CommandContext } from './commands.ts';

/** Pictures that share their weights are painted together; each is written as soon as it is there. */
export async function paint({ pictures, device }: RequestOf<'paint'>, { control, onProgress }: CommandContext): Promise<null> {
  const chosen = await chooseRuntime({ train: { device: device as never, dtype: 'auto' } });
  let done = 0;
  onProgress('open the model', 0, pictures.length, 'pictures');
  for (const group of groups(pictures)) {
    const first = group[0]!;
    const { model, baseModel, noise } = await openFor(first, chosen);
    const painter = new Painter({ model, baseModel, noise, runtime: chosen.runtime, builder: { compute: chosen.compute, storedDType: baseModel.storedDType }, trainsText: false });
    try {
      for (const request of group) {
        if (control.shouldStop()) throw new UserError('sample.stopped', 'Painting was stopped; pictures that were done are kept.');
        const settings: PictureSettings = {
          prompt: request.prompt, negative: request.negative, seed: request.seed, guidance: request.guidance,
          steps: request.steps, sampler: request.sampler, width: model.nativeSide, height: model.nativeSide,
        };
        const [picture] = await painter.paint(new Map(), [settings]);
        await savePicture(request.out, picture!, settings);
        onProgress('paint', ++done, pictures.length, 'pictures');
      }
    } finally {
      await painter.dispose();
    }
  }
  return null;
}

function groups(pictures: readonly PaintRequest[]): PaintRequest[][] {
  const alike = new Map<string, PaintRequest[]>();
  for (const picture of pictures) {
    const { run, step, base, adapters, strength } = picture;
    const key = JSON.stringify([run, step, base, adapters, strength]);
    alike.set(key, [...(alike.get(key) ?? []), picture]);
  }
  return [...alike.values()];
}

async function openFor({ run, step, base, adapters, strength }: PaintRequest, chosen: ChosenRuntime) {
  if (run !== undefined && step !== 0) return openTrainedPainting(run, { strength, ...(step === undefined ? {} : { step }) }, chosen);
  const model = base ?? readRunJob(run ?? '').base.model;
  return openBasePainting({ base: model, adapter: [...(run === undefined ? adapters ?? [] : [])], strength }, chosen.runtime);
}
