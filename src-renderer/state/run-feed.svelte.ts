// A run as it is now: what happened before from a snapshot, then event by event.
import type { Bridge } from '../bridge.ts';
import { emptyRun, foldAll, foldRun, type RunView } from './fold-run.ts';

export class RunFeed {
  readonly runId: string;
  view = $state.raw<RunView>(emptyRun);
  loaded = $state(false);
  readonly #bridge: Bridge;
  readonly #early: Parameters<typeof foldRun>[1][] = [];
  readonly #off: () => void;

  constructor(bridge: Bridge, runId: string) {
    this.runId = runId;
    this.#bridge = bridge;
    this.#off = bridge.on('run.event', (data) => {
      if (data.runId !== runId) return;
      if (this.loaded) this.view = foldRun(this.view, data.event);
      else this.#early.push(data.event);
    });
    void this.load();
  }

  /** Asks for everything again; also after a lost connection. Events that arrive meanwhile are folded afterwards. */
  async load(): Promise<void> {
    this.loaded = false;
    try {
      const { events, phase, lastSeq } = await this.#bridge.call('runs.snapshot', { runId: this.runId });
      const past = foldAll(events);
      const whole = { ...past, lastSeq: Math.max(past.lastSeq, lastSeq) };
      this.view = foldAll([...(phase === null ? [] : [phase]), ...this.#early.splice(0)], whole);
      this.loaded = true;
    } catch {
      // The connection tells; after it is back `load` is called again.
    }
  }

  close(): void {
    this.#off();
  }
}
