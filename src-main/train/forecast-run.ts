// The forecast of a run as it begins: before anything is encoded, and once more with the times of its first steps.
import type { TrainEventBody } from '../contract/events.ts';
import type { PreparedDataset } from '../dataset/index.ts';
import type { ChosenRuntime } from './choose-runtime.ts';
import { autoencoderIdOf, encodedFolder, forecast, paceFor, refuseTooLarge, timedForecast, withTime, type Forecast } from './forecast.ts';
import { keepPace } from './pace.ts';
import type { OpenRun } from './run-job.ts';

type Emit = (event: TrainEventBody) => void;

/** The first steps compile programs; this one does not, and its pace is the fastest seen by then. */
const TIMED_STEP = 5;

export class RunForecast {
  private made: Forecast | null = null;
  private readonly run: OpenRun;
  private readonly chosen: ChosenRuntime;
  private readonly emit: Emit;
  private readonly cacheFolder: string;

  constructor(run: OpenRun, chosen: ChosenRuntime, emit: Emit, cacheFolder = encodedFolder()) {
    this.run = run;
    this.chosen = chosen;
    this.emit = emit;
    this.cacheFolder = cacheFolder;
  }

  /** Error: `forecast.too-large`. */
  async onDataset(dataset: PreparedDataset): Promise<void> {
    const { job, model, baseModel, folder } = this.run;
    const request = {
      job, model, baseModel, dataset, chosen: this.chosen, runFolder: folder.path, cacheFolder: this.cacheFolder,
      autoencoderId: autoencoderIdOf(baseModel, this.chosen.runtime.device),
    };
    this.made = await forecast(request);
    if (this.made.body.verdict !== 'too-large') this.emit({ kind: 'phase', name: 'time a step', done: 0, total: 0, unit: 'steps' });
    this.emit(await timedForecast(this.made, request, false));
    refuseTooLarge(this.made);
  }

  /** Passes events on, and adds the forecast with the times of real steps when these are known. */
  watching(): Emit {
    let fastest = Infinity;
    let isDone = false;
    return (event) => {
      this.emit(event);
      if (event.kind !== 'step' || isDone || !this.made) return;
      fastest = Math.min(fastest, event.secondsPerStep);
      if (event.step < Math.min(TIMED_STEP, event.total)) return;
      isDone = true;
      keepPace(this.cacheFolder, paceFor(this.made.settings), this.made.work.step / fastest);
      if (event.step < event.total) this.emit(withTime(this.made, fastest, event.step));
    };
  }
}
