// The checkpoint of a run that its user has marked, and the one that the numbers suggest.

import { rmSync } from 'node:fs';

import { UserError } from '../../base/errors.ts';
import { courseOf } from '../../contract/run-course.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
import { chosenFileOf, markedStep } from '../../files/run-files.ts';
import { checkpointsOf, readRunEvents } from './run-record.ts';

/** Null: none is marked, or it was deleted since. */
export function chosenStep(folder: string): number | null {
  const step = markedStep(folder);
  return step !== null && checkpointsOf(folder).some((saved) => saved.step === step) ? step : null;
}

/** Error: `run.no-step`. */
export async function chooseStep(folder: string, step: number | null): Promise<void> {
  if (step === null) {
    rmSync(chosenFileOf(folder), { force: true });
    return;
  }
  const saved = checkpointsOf(folder).map((one) => one.step);
  if (!saved.includes(step)) throw new UserError('run.no-step', `Step ${step} was not saved: choose one of ${saved.join(', ') || 'none'}.`, { step });
  await writeFileAtomic(chosenFileOf(folder), `${JSON.stringify({ version: 1, step })}\n`);
}

/** Loss at fixed noise of each saved step, and the step where it is lowest. */
export function probesOf(folder: string): { readonly checkpoints: { step: number; bytes: number; probe: number | null }[]; readonly suggested: number | null } {
  const probes = new Map(courseOf(readRunEvents(folder)).flatMap((event) => (event.kind === 'probe' ? [[event.step, event.loss] as const] : [])));
  const checkpoints = checkpointsOf(folder).map(({ step, bytes }) => ({ step, bytes, probe: probes.get(step) ?? null }));
  const measured = checkpoints.filter((one): one is typeof one & { probe: number } => one.probe !== null);
  const best = measured.reduce<(typeof measured)[number] | null>((least, one) => (least === null || one.probe < least.probe ? one : least), null);
  return { checkpoints, suggested: best?.step ?? null };
}
