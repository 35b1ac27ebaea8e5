// What the app asks a trainer before it trains: facts of a model, and what a job will need.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { sizeOf } from '../base/shape.ts';
import { detectModel } from '../catalog/families/index.ts';
import { say } from '../contract/text.ts';
import type { ForecastFacts, ModelFacts, RequestOf } from '../contract/trainer.ts';
import { chooseRuntime } from '../train/choose-runtime.ts';
import { forecastJob } from '../train/forecast.ts';
import { openBase, openModel } from '../train/open-model.ts';
import { makePlan } from '../train/plan.ts';

/** Errors: those of opening the model. */
export async function modelFacts(path: string): Promise<ModelFacts> {
  const model = detectModel(openModel(path).files);
  return {
    family: model.family, label: model.label, nativeSide: model.nativeSide, pixelStep: model.pixelStep,
    bytes: bytesOnDisk(path), targets: Object.keys(model.targets),
  };
}

function bytesOnDisk(path: string): number {
  const facts = statSync(path);
  return facts.isDirectory() ? readdirSync(path).reduce((sum, name) => sum + bytesOnDisk(join(path, name)), 0) : facts.size;
}

/** Errors: those of the model, the plan and the data set. */
export async function forecastFacts({ job, runFolder, cacheFolder, times }: RequestOf<'forecast'>): Promise<ForecastFacts> {
  const { baseModel, model } = openBase(job);
  const { runtime, compute } = await chooseRuntime(job);
  const plan = makePlan(job, model, baseModel, compute);
  const trained = plan.tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return {
    body: await forecastJob({ job, runFolder, cacheFolder, times }),
    trained, frozen: plan.frozen, device: runtime.device, warnings: plan.warnings.map(({ code, text, data = {} }) => say(code, text, { ...data })),
  };
}
