// Which devices there are and whether each computes rightly. Each is examined in a process of its own, because a driver
// that fails may end the process.

import { join } from 'node:path';

import type { DoctorReport, Output } from '../contract/api.ts';
import { say } from '../contract/text.ts';
import type { ResultOf } from '../contract/trainer.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { readObject } from './settings.ts';
import type { Handlers } from './rpc.ts';
import type { StudioContext } from './studio-context.ts';
import type { TaskContext } from './tasks.ts';
import { callTrainer, finished } from './trainer/call.ts';
import { WAITS } from './training/paintings.ts';

type Found = ResultOf<'devices'>[number];
type DeviceReport = DoctorReport['devices'][number];

const LABELS: Readonly<Record<string, string>> = { cpu: 'Processor', cuda: 'NVIDIA GPU (CUDA)', dml: 'GPU (DirectML)', webgpu: 'GPU (WebGPU)' };

export interface Doctor {
  readonly run: Handlers['doctor.run'];
  /** What `auto` stands for; null until a trainer has looked. */
  device(): Output<'app.info'>['device'];
}

export function createDoctor({ host, tasks, folders, now, turns }: StudioContext): Doctor {
  const file = join(folders.cache, 'doctor.json');
  const stored = readObject(file) as unknown as Partial<DoctorReport>;
  let report: DoctorReport | null = Array.isArray(stored.devices) && typeof stored.text === 'string' ? stored as DoctorReport : null;
  const examineAll = async (signal: AbortSignal, progress: TaskContext['progress']): Promise<void> => {
    const found = await finished(callTrainer(host, 'devices', {}, { signal, stopsAtOnce: true }));
    const devices: DeviceReport[] = [];
    for (const [index, one] of found.entries()) {
      signal.throwIfAborted();
      progress(index, found.length, say('task.examine', `Examine ${LABELS[one.name] ?? one.name}`, { device: one.name }));
      devices.push(one.isUsable ? await examineOne(host, one, signal) : { ...bare(one), text: one.text, checks: [] });
    }
    const good = devices.filter(({ usable, checks }) => usable && checks.every(({ ok }) => ok));
    const ok = devices.every(({ usable, checks }) => !usable || checks.every((check) => check.ok)) && good.length > 0;
    report = { ok, text: ok ? `${good.map(({ label }) => label).join(', ')}: computes rightly.` : 'A device computes wrongly: do not train on it.', time: now(), devices };
    await writeFileAtomic(file, `${JSON.stringify(report, null, 1)}\n`);
  };
  const examine = (): string => tasks.start({ kind: 'doctor', subject: null, label: turns.isTaken() ? WAITS.training : 'Examine devices', unit: 'devices', key: 'doctor' }, async ({ signal, progress }) => {
    await turns.between(signal, (stop) => examineAll(stop, progress), { onWait: (by) => progress(0, 0, WAITS[by]) });
  });
  return {
    run: ({ again }) => ({ report, taskId: again || report === null ? examine() : null }),
    device: () => {
      const best = report?.devices.find(({ name, usable }) => usable && name !== 'cpu') ?? report?.devices.find(({ usable }) => usable);
      return best ? { name: best.name, label: best.label } : null;
    },
  };
}

const bare = ({ name, isUsable, isSoftware }: Found): Omit<DeviceReport, 'text' | 'checks'> =>
  ({ name, label: LABELS[name] ?? name, usable: isUsable && !isSoftware });

async function examineOne(host: StudioContext['host'], found: Found, signal: AbortSignal): Promise<DeviceReport> {
  try {
    const { text, data } = await finished(callTrainer(host, 'doctor', { device: found.name }, { signal, stopsAtOnce: true }));
    const [one] = (data as { devices: { comparisons: { dtype: string; gradient: number; ok: boolean }[]; error: string | null }[] }).devices;
    const checks = (one?.comparisons ?? []).map(({ dtype, gradient, ok }) => ({ name: dtype, ok, text: `Gradients differ by up to ${gradient.toExponential(1)}.` }));
    const lines = text.split('\n').filter((line) => line.startsWith(`${found.name}:`));
    return { ...bare(found), text: [...lines, ...(one?.error ? [one.error] : [])].join(' ') || found.text, checks: one?.error ? [...checks, { name: 'process', ok: false, text: one.error }] : checks };
  } catch (error) {
    if (signal.aborted) throw error;
    const text = error instanceof Error ? error.message : String(error);
    return { ...bare(found), text, checks: [{ name: 'process', ok: false, text }] };
  }
}
