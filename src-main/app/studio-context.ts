// What all parts of the studio share.

import type { AppFolders } from '../files/paths.ts';
import type { Bus } from './bus.ts';
import type { FileKind } from './file-kinds.ts';
import type { Ids } from './ids.ts';
import type { SettingsStore } from './settings.ts';
import type { Tasks } from './tasks.ts';
import type { DeviceTurns } from './training/device-turns.ts';
import type { KeptTrainer } from './trainer/kept-trainer.ts';
import type { WorkerHost } from './trainer/worker-host.ts';

/** What only a desktop has. */
export interface Desktop {
  /** The system's dialog; paths chosen, none when it was closed. */
  pick(asked: { readonly kind: FileKind; readonly many: boolean; readonly title: string; readonly filter: string }): Promise<readonly string[]>;
  reveal(path: string): void;
}

export interface StudioContext {
  readonly version: string;
  readonly mode: 'desktop' | 'browser';
  readonly folders: AppFolders;
  /** Folder with the starter model, the demo pictures and recipes. */
  readonly assets: string;
  readonly ids: Ids;
  readonly bus: Bus;
  readonly tasks: Tasks;
  readonly settings: SettingsStore;
  readonly host: WorkerHost;
  /** The process that paints is kept for a while. */
  readonly painter: KeptTrainer;
  /** Nothing that computes on the device shares it. */
  readonly turns: DeviceTurns;
  readonly desktop: Desktop | null;
  /** Milliseconds since 1970; shown and sorted by. */
  readonly now: () => number;
}
