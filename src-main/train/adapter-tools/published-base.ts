// An adapter file whose base model is not at hand: its layers as the published model has them that it was made for.
import { UserError } from '../../base/errors.ts';
import type { BaseFacts, DoraAxis } from '../../catalog/define/format.ts';
import { factsOfFile, layersOf } from '../export-source.ts';
import { fittingModels, type Candidate } from './fitting-models.ts';
import { openAdapter, readAdapter, type AdapterFile } from '../read-adapter.ts';
import type { WritableSource } from '../write-adapter.ts';

/** What a file lacks that was written without its base. */
export const WITHOUT_BASE = 'Without --base the file says of its base model what the adapter said of it, and no more.';

/** Errors: `convert.needs-base` where no published model, or more than one, has the layers; those of `readAdapter`. */
export function sourceWithoutBase(path: string, axis?: DoraAxis): WritableSource {
  const { named, knownAs } = publishedBase(openAdapter(path));
  const read = readAdapter(path, named, axis);
  const layers = layersOf(read, named);
  const hash = read.metadata.get('ss_new_sd_model_hash');
  const base: BaseFacts = {
    ...knownAs, name: read.metadata.get('adora.base') ?? read.metadata.get('ss_sd_model_name') ?? '', hashes: new Map(),
    prediction: predictionOf(read.metadata.get('modelspec.prediction_type')), fileHash: hash !== undefined && /^[0-9a-f]{64}$/.test(hash) ? hash : null,
  };
  return { layers, named, axis: read.axis, scale: 1, values: read.values, facts: async () => ({ ...factsOfFile(path, read.metadata, read.axis, layers), base }) };
}

const predictionOf = (said: string | undefined): BaseFacts['prediction'] => (said === 'epsilon' ? 'epsilon' : said === 'v' ? 'v_prediction' : null);

/** The one published model that has every layer of the file with its shapes. */
function publishedBase(adapter: AdapterFile): Candidate {
  const best = fittingModels([adapter]);
  if (best.length === 1) return best[0]!;
  const why = best.length === 0 ? 'has layers that no published model has in these shapes' : `fits several kinds of models (${best.map(({ label }) => label).join(', ')})`;
  throw new UserError('convert.needs-base', `"${adapter.path}" ${why}: name its base model with --base.`, { path: adapter.path, kinds: best.map(({ label }) => label) });
}
