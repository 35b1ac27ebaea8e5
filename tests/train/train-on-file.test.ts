// A job on a checkpoint and on the same model as a folder: the same course to the last bit.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { writeSafetensors } from '../../src-main/files/safetensors-write.ts';
import { openModel } from '../../src-main/train/open-model.ts';
import { FOLDER_FILES } from '../../src-main/nn/checkpoint-parts.ts';
import { ldmUnetNames } from '../../src-main/nn/ldm-unet-names.ts';
import { eventsOf, filesOf, jobAt, train, usePlace, type JobChanges } from './run.ts';

const place = usePlace();

/** The folder's model as one file in the original layout, with the small files of the folder in its header. */
async function asCheckpoint(folder: string, path: string): Promise<string> {
  const model = openModel(folder);
  const unetKeys = [...model.files.get('unet')!.tensors.keys()];
  const moduleOf = (key: string): string => key.replace(/\.(weight|bias)$/, '');
  const names = ldmUnetNames(unetKeys.map(moduleOf));
  const prefixes: Readonly<Record<string, (key: string) => string>> = {
    unet: (key) => `model.diffusion_model.${names(moduleOf(key))}${key.slice(moduleOf(key).length)}`,
    vae: (key) => `first_stage_model.${key}`,
    text_encoder: (key) => `cond_stage_model.transformer.${key}`,
  };
  const tensors = [...model.files].flatMap(([component, { tensors: own }]) => [...own].map(([key, { shape }]) => ({
    name: prefixes[component]!(key), dtype: 'f32' as const, shape, data: model.readF32(`${component}.${key}`),
  })));
  const small = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && !entry.name.endsWith('.safetensors')).map((entry) => join(entry.parentPath, entry.name));
  const texts = Object.fromEntries(small.map((file) => [relative(folder, file).replaceAll('\\', '/'), readFileSync(file, 'utf8')]));
  await writeSafetensors(path, tensors, { [FOLDER_FILES]: JSON.stringify(texts) });
  return path;
}

test('a checkpoint trains as the folder does', async () => {
  const path = await asCheckpoint(place.model, join(place.folder, 'tiny.safetensors'));
  expect(statSync(path).isFile()).toBe(true);
  const changes: JobChanges = { adapter: { kind: 'dora', targets: 'linear', rank: 2, alpha: 2, textEncoder: true }, preview: { every: 2, prompts: ['red stripes'], steps: 2 }, train: { steps: 2 } };
  const onFolder = await train(place, jobAt(place, changes));
  const onFile = await train({ ...place, cache: join(place.folder, 'cache of the file') }, jobAt({ ...place, model: path }, changes));
  const losses = ({ events }: typeof onFile) => eventsOf(events, 'step').map(({ loss, gradNorm }) => [loss, gradNorm]);
  expect(losses(onFile)).toEqual(losses(onFolder));
  const warnings = ({ events }: typeof onFile) => eventsOf(events, 'warning').map(({ text }) => text);
  expect(warnings(onFile)).toEqual(warnings(onFolder));
  expect(filesOf(onFile.folder, ['checkpoints'])).toEqual(filesOf(onFolder.folder, ['checkpoints']));
  expect(eventsOf(onFile.events, 'started')[0]!.job.model).toBe(eventsOf(onFolder.events, 'started')[0]!.job.model);
});

test.each(['adapter', 'autoencoder'] as const)('a whole model is written back as a checkpoint: %s', async (task) => {
  const path = await asCheckpoint(place.model, join(place.folder, `${task}.safetensors`));
  const changes: JobChanges = { task, train: { steps: 1 }, output: { dtype: 'f32' }, ...(task === 'adapter' ? { adapter: { kind: 'full', targets: 'all' } } : {}) };
  const { folder } = await train({ ...place, model: path }, jobAt({ ...place, model: path }, changes));
  const [base, found] = [openModel(path), openModel(join(folder, 'exports', 'model.safetensors'))];
  expect([...found.files.keys()]).toEqual([...base.files.keys()]);
  const trained = task === 'adapter' ? 'unet.conv_in.weight' : 'vae.decoder.conv_in.weight';
  const kept = task === 'adapter' ? 'vae.decoder.conv_in.weight' : 'unet.conv_in.weight';
  expect(found.readF32(trained)).not.toEqual(base.readF32(trained));
  expect(found.readF32(kept)).toEqual(base.readF32(kept));
});
