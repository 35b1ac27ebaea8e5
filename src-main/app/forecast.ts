// What a draft will need, before it is trained. A step is timed on the device for it, unless something else is at work there: then
// all but the times is said at once. A newer question about a project ends the one before.

import { statfsSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../base/errors.ts';
import { say, type Text } from '../contract/text.ts';
import type { ForecastFacts, RequestOf } from '../contract/trainer.ts';
import { selectionText } from '../dataset/selection.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import type { DataPart } from './data/data-handlers.ts';
import { draftJob } from './projects/draft-job.ts';
import { runsFolderOf, type StoredProject } from './projects/project-file.ts';
import type { Handlers } from './rpc.ts';
import type { StudioContext } from './studio-context.ts';
import { callTrainer, finished } from './trainer/call.ts';

export interface ForecastNeeds {
  readonly project: (id: string) => { readonly folder: string; readonly stored: StoredProject };
  readonly data: Pick<DataPart, 'selectionOf' | 'included'>;
}

export function createForecast({ host, folders, settings, turns }: StudioContext, { project, data }: ForecastNeeds): Handlers['job.forecast'] {
  const asked = new Map<string, AbortController>();

  const factsOf = async (request: Omit<RequestOf<'forecast'>, 'times'>, signal: AbortSignal): Promise<ForecastFacts & { readonly isTimed: boolean }> => {
    const ask = async (times: boolean, stop: AbortSignal): Promise<ForecastFacts & { readonly isTimed: boolean }> =>
      ({ ...await finished(callTrainer(host, 'forecast', { ...request, times }, { signal: stop, stopsAtOnce: true })), isTimed: times });
    let timed: Awaited<ReturnType<typeof ask>> | null = null;
    if (turns.isFree()) await turns.between(signal, async (stop) => { timed = await ask(true, stop); }, { again: false });
    return timed ?? ask(false, signal);
  };

  return async ({ projectId, draft }) => {
    const { folder, stored } = project(projectId);
    const selection = join(folders.cache, 'selections', `${projectId}.json`);
    await writeFileAtomic(selection, selectionText(await data.selectionOf(projectId)));
    const checked = draftJob(stored, draft, { device: settings.get().device, selection });
    if (!checked.ok) throw new UserError('job.invalid', `This cannot be trained yet: ${checked.issues[0]?.text ?? ''}`, { issues: checked.issues });
    const { job } = checked;
    const newest = new AbortController();
    asked.get(projectId)?.abort(new UserError('forecast.replaced', 'A newer forecast was asked for.'));
    asked.set(projectId, newest);
    const { body, trained, frozen, device, warnings, isTimed } = await factsOf({ job, runFolder: join(runsFolderOf(folder), 'next'), cacheFolder: join(folders.cache, 'encoded') }, newest.signal);
    const amount = body.memory.device ?? body.memory.host;
    const pictures = await data.included(projectId);
    return {
      memory: amount.bytes, memoryParts: body.memory.parts.map((part) => ({ ...part, code: `memory.${part.label.replaceAll(/\W+/g, '-')}` })), memoryFree: amount.free,
      secondsPerStep: body.seconds?.step ?? null, seconds: body.seconds?.total ?? null,
      basis: basisOf(body, isTimed),
      disk: body.disk.bytes, diskFree: freeAt(folder) ?? body.disk.free, trained, frozen, pictures,
      epochs: pictures === 0 ? 0 : (job.train.steps * job.train.batch * job.train.accumulate) / pictures,
      device, warnings: [...warnings, ...body.changes.filter(({ fits }) => fits).map(({ settings: changes }) => say('forecast.would-fit', `It would fit with ${changes.join(', ')}.`, { settings: changes }))],
      fits: body.verdict === 'fits',
    };
  };
}

function basisOf({ memory, seconds, verdict, text }: ForecastFacts['body'], isTimed: boolean): Text {
  const { bytes, free } = memory.device ?? memory.host;
  const facts = { bytes, free };
  if (seconds) return say(`forecast.${verdict}.timed`, `${text} Times come from a step that was timed just now.`, facts);
  if (!isTimed) return say(`forecast.${verdict}.busy`, `${text} No step was timed, because something else computes on the device now.`, facts);
  return say(`forecast.${verdict}`, text, facts);
}

function freeAt(folder: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return null;
  }
}
