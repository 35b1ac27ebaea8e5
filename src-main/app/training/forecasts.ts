// What a draft would need, worked out by a trainer. One for each project: whoever asks again has other settings, and what was
// being worked out for the old ones ends at once, so that dragging a slider does not fill the machine. A step is timed on the
// device for it, unless something else is at work there: then all but the times is said at once.

import { statfsSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import type { Draft, Output } from '../../contract/api.ts';
import { say, type Text } from '../../contract/text.ts';
import type { ForecastFacts, RequestOf } from '../../contract/trainer.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
import { selectionText, type Selection } from '../../dataset/selection.ts';
import { draftJob } from '../projects/draft-job.ts';
import { runsFolderOf, type StoredProject } from '../projects/project-file.ts';
import type { Handlers } from '../rpc.ts';
import type { StudioContext } from '../studio-context.ts';
import { callTrainer, finished } from '../trainer/call.ts';

export interface ForecastNeeds {
  readonly project: (projectId: string) => { readonly folder: string; readonly stored: StoredProject };
  readonly selectionOf: (projectId: string) => Promise<Selection>;
  /** Pictures of an epoch. */
  readonly included: (projectId: string) => Promise<number>;
}

export interface Forecasts {
  readonly handlers: Pick<Handlers, 'job.forecast' | 'job.stopForecast'>;
  dispose(): void;
}

export function createForecasts({ host, folders, settings, turns }: StudioContext, { project, selectionOf, included }: ForecastNeeds): Forecasts {
  const atWork = new Map<string, AbortController>();
  /** Of each project its last forecast, which may be answered already. */
  const over = new Map<string, Promise<unknown>>();
  const stop = (projectId: string, code: string, text: string): void => {
    atWork.get(projectId)?.abort(new UserError(code, text, { projectId }));
    atWork.delete(projectId);
  };
  const factsOf = async (request: Omit<RequestOf<'forecast'>, 'times'>, signal: AbortSignal): Promise<ForecastFacts & { readonly isTimed: boolean }> => {
    const ask = async (times: boolean, stop: AbortSignal): Promise<ForecastFacts & { readonly isTimed: boolean }> =>
      ({ ...await finished(callTrainer(host, 'forecast', { ...request, times }, { signal: stop, stopsAtOnce: true })), isTimed: times });
    let timed: Awaited<ReturnType<typeof ask>> | null = null;
    if (turns.isFree()) await turns.between(signal, async (stop) => { timed = await ask(true, stop); }, { as: 'forecast', again: false });
    return timed ?? ask(false, signal);
  };
  const forecast = async (projectId: string, draft: Draft, signal: AbortSignal): Promise<Output<'job.forecast'>> => {
    const { folder, stored } = project(projectId);
    const selection = join(folders.cache, 'selections', `${projectId}.json`);
    await writeFileAtomic(selection, selectionText(await selectionOf(projectId)));
    const checked = draftJob(stored, draft, { device: settings.get().device, selection });
    if (!checked.ok) throw new UserError('job.invalid', `This cannot be trained yet: ${checked.issues[0]?.text ?? ''}`, { issues: checked.issues });
    const { job } = checked;
    signal.throwIfAborted();
    const { body, trained, frozen, device, warnings, isTimed } = await factsOf({ job, runFolder: join(runsFolderOf(folder), 'next'), cacheFolder: join(folders.cache, 'encoded') }, signal);
    const amount = body.memory.device ?? body.memory.host;
    const pictures = await included(projectId);
    return {
      memory: amount.bytes, memoryParts: body.memory.parts.map((part) => ({ ...part, code: `memory.${part.label.replaceAll(/\W+/g, '-')}` })), memoryFree: amount.free,
      secondsPerStep: body.seconds?.step ?? null, seconds: body.seconds?.total ?? null,
      basis: basisOf(body, isTimed),
      disk: body.disk.bytes, diskFree: freeAt(folder) ?? body.disk.free, trained, frozen, pictures,
      epochs: pictures === 0 ? 0 : (job.train.steps * job.train.batch * job.train.accumulate) / pictures,
      device, warnings: [...warnings], verdict: body.verdict, isRefused: body.verdict === 'too-large' && job.train.checkResources,
      changes: body.changes.map(({ values, host: bytes, device: onDevice, fits }) => ({ values, memory: onDevice ?? bytes, fits })),
    };
  };
  return {
    handlers: {
      'job.forecast': async ({ projectId, draft }) => {
        stop(projectId, 'forecast.superseded', 'Another forecast was asked for meanwhile.');
        const [mine, before] = [new AbortController(), over.get(projectId)];
        atWork.set(projectId, mine);
        const answer = (async () => {
          // Until then the device is not free for this one.
          await before;
          return forecast(projectId, draft, mine.signal);
        })();
        over.set(projectId, answer.catch(() => {}));
        try {
          return await answer;
        } catch (error) {
          throw mine.signal.aborted ? mine.signal.reason : error;
        } finally {
          if (atWork.get(projectId) === mine) atWork.delete(projectId);
        }
      },
      'job.stopForecast': ({ projectId }) => {
        stop(projectId, 'forecast.stopped', 'The forecast was stopped.');
        return {};
      },
    },
    dispose: () => {
      for (const projectId of atWork.keys()) stop(projectId, 'forecast.stopped', 'The forecast was stopped.');
    },
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
