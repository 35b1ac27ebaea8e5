// Training events as text: a line that is rewritten on a terminal, now and then a line elsewhere.

import { styleText } from 'node:util';

import type { TrainEvent, TrainEventOf } from '../contract/events.ts';

export interface ProgressTarget {
  readonly isTerminal: boolean;
  readonly hasColour: boolean;
  columns(): number;
  write(text: string): void;
}

/** Least time between two progress lines where they cannot be rewritten, and between two rewritings. */
const lineInterval = 10_000;
const rewriteInterval = 80;

const clearLine = '\r\u001B[2K';

/** Returns a listener that shows each event. Time is taken from the events. */
export function createProgress(target: ProgressTarget): { show(event: TrainEvent): void; end(): void } {
  let shownAt = -Infinity;
  let shownPhase = '';
  let isLineOpen = false;

  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    target.hasColour ? styleText(style, text, { validateStream: false }) : text;

  const closeLine = (): void => {
    if (isLineOpen) target.write(clearLine);
    isLineOpen = false;
  };

  const print = (text: string): void => {
    closeLine();
    target.write(`${text}\n`);
  };

  const progress = (text: string, time: number, isLast: boolean, phase: string): void => {
    const isDue = isLast || phase !== shownPhase || time - shownAt >= (target.isTerminal ? rewriteInterval : lineInterval);
    if (!isDue) return;
    shownAt = time;
    shownPhase = phase;
    if (!target.isTerminal) target.write(`${text}\n`);
    else {
      target.write(clearLine + shortened(text, target.columns() - 1));
      isLineOpen = true;
    }
  };

  const show = (event: TrainEvent): void => {
    switch (event.kind) {
      case 'started': return print(startedText(event));
      case 'phase': {
        const isLast = event.done >= event.total;
        progress(phaseText(event), event.time, isLast, event.name);
        return;
      }
      case 'step': return progress(stepText(event), event.time, event.step >= event.total, 'train');
      case 'forecast': return print(event.verdict === 'fits' ? event.text : `${paint('yellow', 'Warning:')} ${event.text}`);
      case 'probe': return print(`Step ${event.step}: loss at fixed noise ${numberText(event.loss)}`);
      case 'sample': return print(`Step ${event.step}: sample ${event.file}`);
      case 'checkpoint': return print(`Step ${event.step}: saved ${event.path}`);
      case 'verdict': {
        const mark = event.ok ? paint('green', 'ok') : paint('red', 'NOT OK');
        return print(`${mark}  ${event.text}`);
      }
      case 'warning': return print(`${paint('yellow', 'Warning:')} ${event.text}`);
      case 'paused': return print(`Paused at step ${event.step}.`);
      case 'resumed': return print(`Going on from step ${event.step}.`);
      case 'interrupted':
        return print(event.path === null ? `Stopped at step ${event.step}.`
          : `Stopped at step ${event.step}; all is saved in ${event.path}.`);
      case 'finished': {
        const files = event.files.map((file) => `\n  ${file}`).join('');
        return print(`${paint('green', 'Done')}: ${event.step} steps in ${durationText(event.seconds)}.${files}`);
      }
      // The command reports failures on stderr; memory figures are for the log.
      case 'failed': return closeLine();
      case 'memory': return;
      case 'result': return;
      default: return event satisfies never;
    }
  };

  return { show, end: closeLine };
}

/** `12 s`, `3 min 05 s`, `2 h 07 min`. */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const pad = (value: number): string => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}

function startedText(event: TrainEventOf<'started'>): string {
  const { job, parameters } = event;
  const million = (value: number): string => `${(value / 1e6).toFixed(value < 1e7 ? 2 : 0)} M`;
  const start = event.fromStep === 0 ? '' : `, from step ${event.fromStep}`;
  return `${job.name}: ${job.adapter} on ${job.model} (${job.family}), ${job.images} images, ${job.steps} steps${start}\n`
    + `  ${million(parameters.trained)} of ${million(parameters.trained + parameters.frozen)} parameters are trained, `
    + `${job.optimizer}, ${event.device} ${event.dtype}`;
}

function phaseText(event: TrainEventOf<'phase'>): string {
  const name = event.about === undefined ? event.name : `${event.name} ${event.about}`;
  return event.total === 0 ? name : `${name}  ${event.done}/${event.total} ${event.unit}`;
}

function stepText(event: TrainEventOf<'step'>): string {
  const width = String(event.total).length;
  return [
    'train', `step ${String(event.step).padStart(width)}/${event.total}`, `loss ${numberText(event.loss)}`,
    `${timeText(event.secondsPerStep)}/step`, `ETA ${durationText(event.eta)}`, ...(event.skipped === true ? ['skipped'] : []),
  ].join('  ');
}

function timeText(seconds: number): string {
  return `${seconds >= 100 ? seconds.toFixed(0) : seconds.toPrecision(3)} s`;
}

function numberText(value: number | null): string {
  return value === null ? 'not a number' : value.toPrecision(4);
}

function shortened(text: string, columns: number): string {
  return columns > 0 && text.length > columns ? text.slice(0, columns) : text;
}
