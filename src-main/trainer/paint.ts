// Pictures for comparing: with what runs learnt, with adapters, or with base models alone. A process that is kept answers one
// request after the other: the model stays open and compiled, and what was merged last stays at hand for other strengths.

import { statSync } from 'node:fs';

import { UserError } from '../base/errors.ts';
import type { PaintRequest, RequestOf } from '../contract/trainer.ts';
import { listCheckpoints } from '../train/checkpoint.ts';
import { chooseRuntime, type ChosenRuntime } from '../train/choose-runtime.ts';
import { paintedFrom } from '../train/painted-with.ts';
import { PaintingSession, subjectOfAdapters, subjectOfRun, type PaintingSubject } from '../train/painting-session.ts';
import { PAINTING_STOPPED, savePicture, type PictureSettings } from '../train/picture.ts';
import { phaseText, type CommandContext } from './context.ts';

/** What a process that paints keeps open between two requests. */
let kept: { readonly device: string; readonly chosen: ChosenRuntime; readonly session: PaintingSession } | null = null;
let lastSubject: { readonly key: string; readonly subject: PaintingSubject } | null = null;
let control: CommandContext['control'] | null = null;

/** Each picture is written as soon as it is there; those that share their weights are painted one after the other. */
export async function paint({ pictures, device }: RequestOf<'paint'>, context: CommandContext): Promise<null> {
  const { onProgress } = context;
  control = context.control;
  let done = 0;
  onProgress(phaseText({ name: 'open the model' }), 0, pictures.length, 'pictures');
  try {
    const { chosen, session } = await openSession(device);
    for (const sources of sourcesOf(pictures)) {
      const subject = openSubject(sources[0]![0]!, chosen);
      for (const group of sources) {
        const weights = await subject.weights(group[0]!.strength);
        for (const request of group) {
          const settings: PictureSettings = {
            prompt: request.prompt, negative: request.negative, seed: request.seed, guidance: request.guidance,
            steps: request.steps, sampler: request.sampler, width: subject.model.nativeSide, height: subject.model.nativeSide,
          };
          if (context.control.shouldStop()) throw new UserError(PAINTING_STOPPED, 'Painting was stopped.');
          const picture = await session.paint(subject, weights, settings);
          await savePicture(request.out, picture, settings, paintedFrom(subject, request.strength, settings));
          onProgress(phaseText({ name: 'paint' }), ++done, pictures.length, 'pictures');
        }
      }
    }
  } catch (error) {
    if (error instanceof UserError && error.code === PAINTING_STOPPED) throw new UserError('sample.stopped', 'Painting was stopped; pictures that were done are kept.');
    lastSubject = null;
    throw error;
  }
  return null;
}

async function openSession(device: string): Promise<NonNullable<typeof kept>> {
  if (kept?.device === device) return kept;
  await kept?.session.dispose();
  const chosen = await chooseRuntime({ train: { device: device as never, dtype: 'auto' } });
  return kept = { device, chosen, session: new PaintingSession(chosen, () => control?.shouldStop() ?? false) };
}

/** Pictures of one source, by strength; sources that change something come first, so that a base alone finds its model open. */
function sourcesOf(pictures: readonly PaintRequest[]): PaintRequest[][][] {
  const sources = grouped(pictures, ({ run, step, base, adapters }) => JSON.stringify([run, step, base, adapters]));
  const isBare = ([first]: readonly PaintRequest[]): boolean => first!.run === undefined && (first!.adapters ?? []).length === 0;
  return [...sources.filter((one) => !isBare(one)), ...sources.filter(isBare)].map((source) => grouped(source, ({ strength }) => String(strength)));
}

function grouped(pictures: readonly PaintRequest[], keyOf: (picture: PaintRequest) => string): PaintRequest[][] {
  const alike = new Map<string, PaintRequest[]>();
  for (const picture of pictures) alike.set(keyOf(picture), [...(alike.get(keyOf(picture)) ?? []), picture]);
  return [...alike.values()];
}

function openSubject(request: PaintRequest, chosen: ChosenRuntime): PaintingSubject {
  const { run, step, base = '', adapters = [] } = request;
  const key = JSON.stringify([run, step, base, adapters, stampsOf(request)]);
  if (lastSubject?.key === key) return lastSubject.subject;
  // The weights of two would stand in memory.
  lastSubject = null;
  const subject = run === undefined ? subjectOfAdapters(base, adapters, chosen) : subjectOfRun(run, step, chosen);
  lastSubject = { key, subject };
  return subject;
}

/** Files may be replaced under their names while the process is kept. */
function stampsOf({ run, step, base, adapters = [] }: PaintRequest): unknown[] {
  const own = run === undefined ? [base!, ...adapters] : [`${run}/job.json`, ...listCheckpoints(`${run}/checkpoints`).filter((saved) => saved.step === step).map(({ path }) => path)];
  return own.map((path) => {
    const facts = statSync(path, { throwIfNoEntry: false });
    return facts && [facts.mtimeMs, facts.size];
  });
}
