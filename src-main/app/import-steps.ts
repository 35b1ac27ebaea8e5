// Other trainers count epochs where a job counts steps: where the pictures are at hand, the steps follow from them.
import { dirname, resolve } from 'node:path';

import { UserError } from '../base/errors.ts';
import { say, type Text } from '../contract/text.ts';
import { scanFolders } from '../dataset/scan.ts';

type Section = Readonly<Record<string, unknown>>;
type Job = Readonly<Record<string, unknown>>;

interface Counted {
  readonly job: Job;
  readonly notes: readonly Text[];
}

/** The job with `train.steps`, and a warm-up that was a share of them, if the pictures are found as seen from the file. */
export async function countSteps(job: Job, notes: readonly Text[], file: string): Promise<Counted> {
  const epochs = numberIn(notes, 'import.epochs', 'epochs');
  const draws = epochs === null ? null : await drawsOf(job['data'] as Section, dirname(file));
  if (epochs === null || draws === null) return { job, notes };
  const train = job['train'] as Section;
  const [batch, accumulate] = [Number(train['batch'] ?? 1), Number(train['accumulate'] ?? 1)];
  const steps = epochs * Math.ceil(Math.ceil(draws / batch) / accumulate);
  const percent = numberIn(notes, 'import.warmup', 'percent');
  const counted = say('import.counted-steps', `train.steps = ${steps}: ${epochs} epochs of ${draws} pictures (repeats and regularization included) in batches of ${batch}${accumulate > 1 ? ` × ${accumulate}` : ''}. Buckets that batches do not fill add a few steps in other programs.`, { steps, epochs, draws, batch, accumulate });
  const warmup = percent === null ? {} : { warmup: Math.round((percent / 100) * steps) };
  return {
    job: { ...job, train: { ...train, steps }, schedule: { ...(job['schedule'] as Section), ...warmup } },
    notes: [...notes.filter(({ code }) => code !== 'import.epochs' && code !== 'import.warmup'), counted],
  };
}

function numberIn(notes: readonly Text[], code: string, name: string): number | null {
  const value = notes.find((note) => note.code === code)?.data[name];
  return typeof value === 'number' ? value : null;
}

/** Pictures times repeats; as many again where there are regularization pictures. Null where a folder is missing or cannot be read. */
async function drawsOf(data: Section, folder: string): Promise<number | null> {
  const folders = (data['folders'] as readonly { readonly path: string; readonly repeats?: number; readonly regularization?: boolean }[])
    .map(({ path, repeats, regularization = false }) => ({ path: resolve(folder, path), ...(repeats === undefined ? {} : { repeats }), regularization }));
  try {
    const { items } = await scanFolders(folders, { keepsBad: true });
    const own = items.filter((item) => !item.regularization).reduce((sum, { repeats }) => sum + repeats, 0);
    return items.some((item) => item.regularization) ? 2 * own : own;
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}
