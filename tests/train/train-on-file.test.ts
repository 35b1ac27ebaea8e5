// A job on a checkpoint and on the same model as a folder: the same course to the last bit.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openModel } from '../../src-main/train/open-model.ts';
import { asCheckpoint } from './as-checkpoint.ts';
import { eventsOf, filesOf, jobAt, train, usePlace, type JobChanges } from './run.ts';

const place = usePlace();

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
  const path = await asCheckpoint(place.model, join(place.folder, `${task}.${task === 'adapter' ? 'SAFETENSORS' : 'sft'}`));
  const changes: JobChanges = { task, train: { steps: 1 }, output: { dtype: 'f32' }, ...(task === 'adapter' ? { adapter: { kind: 'full', targets: 'all' } } : {}) };
  const { folder } = await train({ ...place, model: path }, jobAt({ ...place, model: path }, changes));
  const [base, found] = [openModel(path), openModel(join(folder, 'exports', 'model.safetensors'))];
  expect([...found.files.keys()]).toEqual([...base.files.keys()]);
  const trained = task === 'adapter' ? 'unet.conv_in.weight' : 'vae.decoder.conv_in.weight';
  const kept = task === 'adapter' ? 'vae.decoder.conv_in.weight' : 'unet.conv_in.weight';
  expect(found.readF32(trained)).not.toEqual(base.readF32(trained));
  expect(found.readF32(kept)).toEqual(base.readF32(kept));
});
