// What the settings in the form would need, asked for anew when they change, and never shown as true of other settings.
import { CallError } from '../bridge.ts';
import type { Draft, Input, Output } from '../../src-main/contract/api.ts';

export type ForecastAnswer = Output<'job.forecast'>;
interface Ask {
  forecast(input: Input<'job.forecast'>): Promise<ForecastAnswer>;
  stop(projectId: string): Promise<unknown>;
}

/** Milliseconds without a change before it is asked. */
const PATIENCE = 800;

export class Forecast {
  /** The last answer; of the settings as they are only while `state` is 'known'. */
  answer = $state.raw<ForecastAnswer | null>(null);
  state = $state<'none' | 'working' | 'known' | 'stopped' | 'failed'>('none');
  problem = $state('');
  readonly #ask: Ask;
  #asked = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #projectId: string | null = null;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** Of settings that can be trained. */
  of(projectId: string, draft: Draft, patience = PATIENCE): void {
    const mine = ++this.#asked;
    this.#projectId = projectId;
    this.state = 'working';
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask.forecast({ projectId, draft }).then(
      (answer) => { if (mine === this.#asked) { this.answer = answer; this.state = 'known'; } },
      (error: unknown) => {
        if (mine !== this.#asked) return;
        this.problem = error instanceof Error ? error.message : String(error);
        this.state = error instanceof CallError && ['forecast.stopped', 'forecast.superseded', 'bridge.lost'].includes(error.code) ? 'stopped' : 'failed';
      },
    ), patience);
  }

  /** There is nothing to work out: no pictures, no model, or settings that are wrong. */
  none(): void {
    this.#end('none');
  }

  cancel(): void {
    this.#end('stopped');
  }

  #end(state: 'none' | 'stopped'): void {
    const isAtWork = this.state === 'working';
    this.#asked += 1;
    this.state = state;
    clearTimeout(this.#timer);
    if (isAtWork && this.#projectId !== null) this.#ask.stop(this.#projectId).catch(() => {});
  }

  /** A training with these settings would be refused. */
  get isRefused(): boolean {
    return this.state === 'known' && this.answer?.isRefused === true;
  }
}
