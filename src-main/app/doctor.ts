// Which devices there are and whether each computes rightly. Each is examined in a process of its own, because a driver
// that fails may end the process.

import { join } from 'node:path';

import type { DoctorReport, Output } from '../contract/api.ts';
import { doctorReportSchema } from '../contract/api-app.ts';
import { deviceLabel } from '../contract/devices.ts';
import { say, type Text } from '../contract/text.ts';
import type { ResultOf } from '../contract/trainer.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import { readObject } from './settings.ts';
import { problemOf, type Handlers } from './rpc.ts';
import type { StudioContext } from './studio-context.ts';
import type { TaskContext } from './tasks.ts';
import { callTrainer, finished } from './trainer/call.ts';
import { WAITS } from './training/device-turns.ts';

type Found = ResultOf<'devices'>[number];
type DeviceReport = DoctorReport['devices'][number];

const saidOf = ({ code, data, text }: Text): Text => ({ code, data, text });

export interface Doctor {
  readonly run: Handlers['doctor.run'];
  /** What `auto` stands for; null until a trainer has looked. */
  device(): Output<'app.info'>['device'];
}

export function createDoctor({ host, tasks, folders, now, turns }: StudioContext): Doctor {
  const file = join(folders.cache, 'doctor.json');
  // One of an older program may have another form.
  let report: DoctorReport | null = doctorReportSchema.safeParse(readObject(file)).data ?? null;
  const examineAll = async (signal: AbortSignal, progress: TaskContext['progress']): Promise<void> => {
    const found = await finished(callTrainer(host, 'devices', {}, { signal, stopsAtOnce: true }));
    const devices: DeviceReport[] = [];
    for (const [index, one] of found.entries()) {
      signal.throwIfAborted();
      progress(index, found.length, say('task.examine', `Examine ${deviceLabel(one.name)}`, { device: one.name }));
      devices.push(one.isUsable ? await examineOne(host, one, signal) : { ...bare(one), ...saidOf(one), checks: [] });
    }
    const good = devices.filter(({ usable, checks }) => usable && checks.every(({ ok }) => ok));
    const ok = devices.every(({ usable, checks }) => !usable || checks.every((check) => check.ok)) && good.length > 0;
    const verdict = ok ? say('doctor.good', `${good.map(({ name }) => deviceLabel(name)).join(', ')}: computes rightly.`, { devices: good.map(({ name }) => name) }) : say('doctor.bad', 'A device computes wrongly: do not train on it.');
    report = { ok, ...verdict, time: now(), devices };
    await writeFileAtomic(file, `${JSON.stringify(report, null, 1)}\n`);
  };
  const examine = (): string => tasks.start({ kind: 'doctor', subject: null, label: turns.isTaken() ? WAITS.training : 'Examine devices', unit: 'devices', key: 'doctor' }, async ({ signal, progress }) => {
    await turns.between(signal, (stop) => examineAll(stop, progress), { as: 'doctor', onWait: (by) => progress(0, 0, WAITS[by]) });
  });
  return {
    run: ({ again }) => ({ report, taskId: again || report === null ? examine() : null }),
    device: () => {
      const best = report?.devices.find(({ name, usable }) => usable && name !== 'cpu') ?? report?.devices.find(({ usable }) => usable);
      return best?.name ?? null;
    },
  };
}

const bare = ({ name, isUsable, isSoftware }: Found): Omit<DeviceReport, keyof Text | 'checks'> =>
  ({ name, usable: isUsable && !isSoftware });

/** A driver's own words, or those of the system. */
const failed = (error: string): DeviceReport['checks'][number] => ({ name: 'process', ok: false, ...say('doctor.process', error, { error }) });

async function examineOne(host: StudioContext['host'], found: Found, signal: AbortSignal): Promise<DeviceReport> {
  try {
    const { verdicts, data } = await finished(callTrainer(host, 'doctor', { device: found.name }, { signal, stopsAtOnce: true }));
    const [one] = (data as { devices: { comparisons: { dtype: string; gradient: number; ok: boolean }[]; error: string | null }[] }).devices;
    const checks = (one?.comparisons ?? []).map(({ dtype, gradient, ok }) => ({ name: dtype, ok, ...say('doctor.gradients', `Gradients differ by up to ${gradient.toExponential(1)}.`, { dtype, gradient }) }));
    return { ...bare(found), ...(verdicts[0] ?? saidOf(found)), checks: one?.error ? [...checks, failed(one.error)] : checks };
  } catch (error) {
    if (signal.aborted) throw error;
    const { code, message, details = {} } = problemOf(error);
    return { ...bare(found), ...say(code, message, details), checks: [failed(message)] };
  }
}
