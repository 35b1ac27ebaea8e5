// What stands in more than one place says the same.
import { expect, test } from 'vitest';
import { predictionNames, predictionOfJob } from '../../src-main/catalog/define/prediction.ts';
import { objectiveFor, objectives } from '../../src-main/catalog/objectives/index.ts';
import { devices as choices } from '../../src-main/contract/devices.ts';
import { jobSchema } from '../../src-main/contract/job.ts';
import { cpuDevice, findDevices } from '../../src-main/runtime/onnx/find-devices.ts';
import { devices } from '../../src-main/runtime/onnx/devices.ts';

test('devices of jobs are those of the runtime, and auto', () => {
  expect([...choices].sort()).toEqual(['auto', ...Object.keys(devices)].sort());
});

test('devices are found among them, the CPU last, and each is told before it is tried', async () => {
  const told: string[] = [];
  const found = await findDevices((name, done, total) => told.push(`${name} ${done}/${total}`));
  expect(found.at(-1)).toBe(cpuDevice);
  const tried = found.slice(0, -1).map(({ name }) => name);
  expect(Object.keys(devices)).toEqual(expect.arrayContaining(tried));
  expect(told).toEqual(tried.map((name, at) => `${name} ${at}/${tried.length}`));
});

test('predictions of jobs, models and objectives', () => {
  const ofJobs = jobSchema.shape.base.shape.prediction.unwrap().options;
  expect(['auto', ...Object.values(predictionNames).map(({ job }) => job)].sort()).toEqual([...ofJobs].sort());
  expect(ofJobs.map(predictionOfJob)).toEqual([null, 'epsilon', 'v_prediction']);
  expect(Object.values(predictionNames).map(({ objective }) => objective)).toEqual(Object.keys(objectives));
  expect(objectiveFor('v_prediction')).toBe(objectives['v-prediction']);
});
