// What a run looks like is a fold over its events: one pure function, so a reloaded page shows what a page shows that never
// was away.
import { t } from '../messages.ts';
import type { TrainEvent, TrainEventOf } from '../../src-main/contract/events.ts';
import { isDoneAgain } from '../../src-main/contract/run-course.ts';

export interface StepPoint {
  readonly step: number;
  readonly loss: number | null;
  readonly lr: number;
  readonly gradNorm: number | null;
  readonly updateNorm: number | null;
}

export interface SampleView { readonly step: number; readonly url: string; readonly prompt: string; readonly seed: number }

export interface RunView {
  /** -1 before the first event. */
  readonly lastSeq: number;
  readonly started: TrainEventOf<'started'> | null;
  readonly phase: { readonly name: string; readonly done: number; readonly total: number; readonly unit: string } | null;
  readonly step: number;
  readonly total: number;
  readonly loss: number | null;
  readonly secondsPerStep: number | null;
  readonly eta: number | null;
  readonly skipped: number;
  readonly points: readonly StepPoint[];
  readonly probes: readonly { readonly step: number; readonly loss: number | null }[];
  readonly samples: readonly SampleView[];
  readonly checkpoints: readonly number[];
  readonly verdicts: readonly TrainEventOf<'verdict'>[];
  readonly warnings: readonly TrainEventOf<'warning'>[];
  readonly memory: { readonly rss: number; readonly device: number | null } | null;
  readonly forecast: TrainEventOf<'forecast'> | null;
  readonly end: 'finished' | 'failed' | 'interrupted' | null;
  readonly problem: string | null;
}

export const emptyRun: RunView = {
  lastSeq: -1, started: null, phase: null, step: 0, total: 0, loss: null, secondsPerStep: null, eta: null, skipped: 0,
  points: [], probes: [], samples: [], checkpoints: [], verdicts: [], warnings: [], memory: null, forecast: null, end: null, problem: null,
};

/** Most points a chart can show; older ones are thinned to half when there are more. */
const mostPoints = 4000;

/** The view after `event`. An event that was folded before changes nothing. */
export function foldRun(view: RunView, event: TrainEvent): RunView {
  // Phases are not logged, so they share the number of the event before them.
  if (event.kind === 'phase') {
    return { ...view, phase: event.total > 0 && event.done >= event.total ? null : { name: event.name, done: event.done, total: event.total, unit: event.unit } };
  }
  if (event.seq <= view.lastSeq) return view;
  return { ...view, ...changes(view, event), lastSeq: event.seq };
}

export const foldAll = (events: readonly TrainEvent[], start: RunView = emptyRun): RunView => events.reduce(foldRun, start);

function changes(view: RunView, event: TrainEvent): Partial<RunView> {
  switch (event.kind) {
    case 'started': return started(view, event);
    case 'forecast': return { forecast: event };
    case 'step': {
      const { step, loss, lr, gradNorm, updateNorm } = event;
      return {
        phase: null, step, total: event.total, loss, secondsPerStep: event.secondsPerStep, eta: event.eta, end: null,
        skipped: view.skipped + (event.skipped === true ? 1 : 0),
        points: thinned([...before(view.points, step), { step, loss, lr, gradNorm, updateNorm: updateNorm ?? null }]),
      };
    }
    case 'probe': return { probes: [...view.probes.filter((probe) => probe.step !== event.step), { step: event.step, loss: event.loss }] };
    case 'sample': return { samples: [...view.samples, { step: event.step, url: event.file, prompt: event.prompt, seed: event.seed }] };
    case 'checkpoint': return { checkpoints: [...view.checkpoints.filter((step) => step !== event.step), event.step] };
    case 'verdict': return { verdicts: [...view.verdicts.filter((verdict) => verdict.name !== event.name), event] };
    case 'warning': return { warnings: [...view.warnings.filter((warning) => warning.text !== event.text), event] };
    case 'memory': return { memory: { rss: event.rss, device: event.device ?? null } };
    case 'paused': return { phase: null, eta: null };
    case 'resumed': return { end: null };
    case 'failed': return { end: 'failed', problem: event.text, phase: null, eta: null };
    case 'interrupted': return { end: 'interrupted', phase: null, eta: null };
    case 'finished': return { end: 'finished', step: event.step, phase: null, eta: 0 };
    case 'phase':
    case 'result': return {};
    default: return event satisfies never;
  }
}

/** A process begins at `fromStep`: what an earlier one did after it is done again, and counts no more. */
function started(view: RunView, event: TrainEventOf<'started'>): Partial<RunView> {
  const from = event.fromStep;
  const stays = ({ step }: { readonly step: number }): boolean => !isDoneAgain(step, from);
  return {
    started: event, step: from, total: event.job.steps, end: null, problem: null, phase: null, eta: null,
    points: view.points.filter(stays), probes: view.probes.filter(stays), samples: view.samples.filter(stays),
    checkpoints: view.checkpoints.filter((step) => stays({ step })),
    verdicts: view.verdicts.filter((verdict) => verdict.step === undefined || stays({ step: verdict.step })),
  };
}

/** A log without its starts tells of a step twice: the newest telling counts, as `courseOf` has it. */
const before = (points: readonly StepPoint[], step: number): readonly StepPoint[] =>
  ((points.at(-1)?.step ?? -1) < step ? points : points.filter((point) => point.step < step));

function thinned(points: readonly StepPoint[]): readonly StepPoint[] {
  if (points.length <= mostPoints) return points;
  const recent = points.length - mostPoints / 4;
  // Of two neighbours the one that measured more.
  return points.filter((point, at) => at >= recent || (at % 2 === 0 ? point.updateNorm !== null || (points[at + 1]?.updateNorm ?? null) === null : point.updateNorm !== null && points[at - 1]!.updateNorm === null));
}

/** Running average with the half-life of `halfLife` points; gaps stay gaps. */
export function smoothed(values: readonly (number | null)[], halfLife: number): (number | null)[] {
  const keep = 0.5 ** (1 / halfLife);
  let sum = 0;
  let weight = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = sum * keep + value;
    weight = weight * keep + 1;
    return sum / weight;
  });
}

/** Whether the run has shown that it learns: the verdicts of its first steps. */
export function proofOfLearning(view: RunView): { readonly state: 'waiting' | 'proved' | 'doubt'; readonly text: string } {
  const failed = view.verdicts.find((verdict) => !verdict.ok);
  if (failed !== undefined) return { state: 'doubt', text: failed.text };
  const last = view.verdicts.at(-1);
  return last === undefined ? { state: 'waiting', text: t.parts.proof.waiting } : { state: 'proved', text: last.text };
}
