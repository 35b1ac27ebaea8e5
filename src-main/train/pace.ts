// How fast this machine trains a model, as it was measured last: a forecast can then tell times before anything is computed.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a pace depends on; resolution, rank and the like change the work and not the pace. */
export interface PaceOf {
  readonly device: string;
  readonly compute: string;
  /** Label of the model. */
  readonly model: string;
  readonly checkpointing: boolean;
}

const fileIn = (cacheFolder: string): string => join(cacheFolder, 'pace.json');
const keyOf = ({ device, compute, model, checkpointing }: PaceOf): string => [device, compute, model, checkpointing ? 'checkpointing' : ''].join('|');

function readPaces(cacheFolder: string): Map<string, number> {
  try {
    const value: unknown = JSON.parse(readFileSync(fileIn(cacheFolder), 'utf8'));
    return new Map(Object.entries(value ?? {}).filter((entry): entry is [string, number] => Number.isFinite(entry[1]) && (entry[1] as number) > 0));
  } catch {
    return new Map();
  }
}

/** Operations per second, or null when none was measured. */
export const paceOf = (cacheFolder: string, of: PaceOf): number | null => readPaces(cacheFolder).get(keyOf(of)) ?? null;

/** What cannot be written, or is cut off while it is, costs another measurement and nothing else. */
export function keepPace(cacheFolder: string, of: PaceOf, pace: number): void {
  try {
    mkdirSync(cacheFolder, { recursive: true });
    writeFileSync(fileIn(cacheFolder), `${JSON.stringify(Object.fromEntries([...readPaces(cacheFolder), [keyOf(of), pace]]), null, 1)}\n`);
  } catch {
    // The disk may be full or not ours.
  }
}
