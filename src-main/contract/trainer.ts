// What the app and a trainer process say to each other: structured clones over the process's own channel. A process does
// one command and ends, unless it is kept for the next one; its end is what gives the device back.

import type { Problem } from './api-parts.ts';
import type { TrainEvent, TrainEventOf } from './events.ts';
import type { ExportKind } from './export-kinds.ts';
import type { Consumer, Job } from './job.ts';
import type { Fact, Text } from './text.ts';

/** A picture to paint, with what a run has learnt up to `step`, or with adapters on a base model. */
export interface PaintRequest {
  readonly run?: string;
  /** 0: the run's base model alone. */
  readonly step?: number;
  readonly base?: string;
  readonly adapters?: readonly string[];
  readonly strength: number;
  readonly prompt: string;
  readonly negative: string;
  readonly seed: number;
  readonly guidance: number;
  readonly steps: number;
  readonly sampler: string;
  /** PNG file to write. */
  readonly out: string;
}

export interface ExportOutcome {
  readonly ok: boolean;
  readonly step: number;
  readonly files: readonly string[];
  readonly proof: readonly ({ readonly ok: boolean } & Text)[];
  readonly warnings: readonly Text[];
  readonly pictures: { readonly trained: string; readonly exported: string; readonly worstDifference: number } | null;
}

export interface ModelFacts {
  readonly family: string;
  readonly label: string;
  readonly nativeSide: number;
  readonly pixelStep: number;
  /** Bytes of the weights on disk. */
  readonly bytes: number;
  readonly targets: readonly string[];
}

export interface ForecastFacts {
  readonly body: Omit<TrainEventOf<'forecast'>, 'seq' | 'time'>;
  readonly trained: number;
  readonly frozen: number;
  readonly device: string;
  readonly warnings: readonly Text[];
}

export interface AnalysisFacts {
  readonly steps: readonly number[];
  readonly adapter: string;
}

/** The commands of a trainer: what each is given and gives back. */
export interface TrainerCommands {
  readonly train: {
    readonly request: { readonly job: Job; readonly runFolder: string; readonly resume: boolean; readonly cacheFolder: string };
    readonly result: 'finished' | 'interrupted';
  };
  readonly export: {
    readonly request: {
      readonly run: string; readonly step?: number; readonly for?: Consumer; readonly as?: ExportKind;
      /** Of the plain LoRA. */
      readonly rank?: number;
      readonly dtype?: 'f16' | 'bf16' | 'f32'; readonly out?: string;
      /** Device that paints with the trained values and with the file; without it nothing is painted. */
      readonly picture?: string;
    };
    readonly result: ExportOutcome;
  };
  /** Progress counts the pictures that are written. */
  readonly paint: { readonly request: { readonly pictures: readonly PaintRequest[]; readonly device: string }; readonly result: null };
  readonly analyze: { readonly request: { readonly run: string }; readonly result: AnalysisFacts };
  readonly inspect: { readonly request: { readonly file: string }; readonly result: { readonly data: unknown; readonly facts: readonly Fact[] } };
  readonly model: { readonly request: { readonly path: string }; readonly result: ModelFacts };
  /** `times`: a step is compiled and timed on the device. */
  readonly forecast: { readonly request: { readonly job: Job; readonly runFolder: string; readonly cacheFolder: string; readonly times: boolean }; readonly result: ForecastFacts };
  readonly devices: {
    readonly request: Readonly<Record<string, never>>;
    readonly result: readonly ({ readonly name: string; readonly isUsable: boolean; readonly isSoftware: boolean; readonly hasF16: boolean } & Text)[];
  };
  /** Tries one device in this process, which may end of it; `said` tells what is known so far. */
  readonly trial: { readonly request: { readonly device: string }; readonly result: unknown };
  /** Examines one device in this process. */
  readonly doctor: { readonly request: { readonly device: string }; readonly result: { readonly data: unknown; readonly ok: boolean; /** One for each device. */ readonly verdicts: readonly Text[] } };
  readonly tag: {
    readonly request: {
      readonly model: string; readonly csv: string; readonly pictures: readonly string[];
      readonly threshold: number; readonly characterThreshold: number; readonly underscores: boolean;
    };
    /** Tags of each picture, in the order of the request; null for one that cannot be read. */
    readonly result: readonly (readonly string[] | null)[];
  };
}

export type CommandName = keyof TrainerCommands;
export type RequestOf<Name extends CommandName> = TrainerCommands[Name]['request'];
export type ResultOf<Name extends CommandName> = TrainerCommands[Name]['result'];

/** Code of an error that no `UserError` tells of. */
export const UNFORESEEN = 'internal';

/** `stop` saves first where there is something to save. */
export type ControlAction = 'stop' | 'pause' | 'sample' | 'save';

export type ToTrainer =
  /** With `keep` the process waits for another command after this one, or for its end. */
  | { readonly kind: 'start'; readonly command: CommandName; readonly request: unknown; readonly keep?: boolean }
  /** To a process that is kept: stops what it does, and ends. */
  | { readonly kind: 'end' }
  | { readonly kind: 'control'; readonly action: ControlAction }
  /** To an `ask`; null when that command failed. */
  | { readonly kind: 'answer'; readonly id: number; readonly result: unknown };

export type FromTrainer =
  /** Every few seconds, between two calls of the device. */
  | { readonly kind: 'beat' }
  | { readonly kind: 'event'; readonly event: TrainEvent }
  | { readonly kind: 'progress'; readonly label: Text; readonly done: number; readonly total: number; readonly unit: string }
  /** What is known of the result so far: it counts when the process ends before it is done. */
  | { readonly kind: 'said'; readonly result: unknown }
  /** A command in another trainer process, for a process that cannot start one itself. */
  | { readonly kind: 'ask'; readonly id: number; readonly command: 'trial'; readonly request: RequestOf<'trial'> }
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly problem: Problem };
