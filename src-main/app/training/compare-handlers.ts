// The part of the API that compares checkpoints and runs.

import { judgeCanary, pictureDistance } from '../../contract/canary.ts';
import type { compareApi } from '../../contract/api-compare.ts';
import type { RenderItem } from '../../contract/api.ts';
import { say } from '../../contract/text.ts';
import { decodeImage } from '../../files/images.ts';
import type { Handlers } from '../rpc.ts';
import type { StudioContext } from '../studio-context.ts';
import { chooseStep } from './chosen.ts';
import { createPaintings, type PaintingNeeds } from './paintings.ts';
import { differencesOf } from './run-differences.ts';

export function createCompare(studio: StudioContext, needs: PaintingNeeds): Pick<Handlers, keyof typeof compareApi> {
  const { ids } = studio;
  const { folderOf, jobOf } = needs;
  const paintings = createPaintings(studio, needs);
  const urlOf = (file: string | null | undefined): string | null => (file === null || file === undefined ? null : ids.image(file));

  return {
    'runs.compareRender': ({ items, onlyMade }) => {
      const { files, taskId } = paintings(items, onlyMade);
      return { images: files.map(urlOf), taskId };
    },
    'runs.choose': async ({ runId, step }) => {
      await chooseStep(folderOf(runId), step);
      return {};
    },
    'runs.differences': ({ runIds }) => ({ rows: differencesOf(runIds.map((runId) => jobOf(folderOf(runId)))) }),
    'runs.canary': async ({ runId, checkpoints, strength, style, offSet, seeds, onlyMade, ...settings }) => {
      const steps = [0, ...checkpoints];
      const prompts = [style, offSet];
      const items = steps.flatMap((step) => prompts.flatMap((prompt) => seeds.map((seed): RenderItem => ({ ...settings, runId, step, strength, prompt, seed }))));
      const { files, taskId } = paintings(items, onlyMade);
      /** Of a step and a prompt, one file a seed. */
      const filesAt = (step: number, prompt: number): readonly (string | null)[] => {
        const at = (step * prompts.length + prompt) * seeds.length;
        return files.slice(at, at + seeds.length);
      };
      const rows = await Promise.all(checkpoints.map(async (step, at) => {
        const [styleChange, offSetChange] = await Promise.all([0, 1].map((prompt) => meanDistance(filesAt(0, prompt), filesAt(at + 1, prompt))));
        const judged = typeof styleChange === 'number' && typeof offSetChange === 'number' ? judgeCanary(styleChange, offSetChange) : null;
        return {
          step, style: styleChange ?? null, offSet: offSetChange ?? null, share: judged?.share ?? null, level: judged?.level ?? null, ...say(judged?.code ?? 'canary.unknown', judged?.text ?? '', judged?.data),
          styleUrl: urlOf(filesAt(at + 1, 0)[0]), offSetUrl: urlOf(filesAt(at + 1, 1)[0]),
        };
      }));
      return { rows, base: { styleUrl: urlOf(filesAt(0, 0)[0]), offSetUrl: urlOf(filesAt(0, 1)[0]) }, taskId };
    },
  };
}

/** Null while a picture is missing. */
async function meanDistance(before: readonly (string | null)[], after: readonly (string | null)[]): Promise<number | null> {
  const distances = await Promise.all(before.map(async (first, at) => {
    const second = after[at] ?? null;
    if (first === null || second === null) return null;
    const [a, b] = await Promise.all([first, second].map((file) => decodeImage(file, { background: [0, 0, 0] })));
    return pictureDistance(a!.data, b!.data);
  }));
  const known = distances.filter((one) => one !== null);
  return known.length < distances.length ? null : known.reduce((sum, one) => sum + one, 0) / known.length;
}
