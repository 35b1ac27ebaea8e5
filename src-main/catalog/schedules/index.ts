// Courses of the learning rate, by the name that stands in jobs.
import { UserError } from '../../base/errors.ts';
import { defaultSettings, type SettingsOf } from '../../contract/fields.ts';
import type { Schedule } from '../define/schedule.ts';
import { constant } from './constant.ts';
import { cosineRestarts } from './cosine-restarts.ts';
import { cosine } from './cosine.ts';
import { linear } from './linear.ts';
import { rex } from './rex.ts';

export const schedules = { constant, cosine, 'cosine-restarts': cosineRestarts, linear, rex };

/**
 * Factor of the base rate, in [0, 1], for `step` = 0 ... total − 1: rises as step / warmup for `warmup` steps (the
 * first one has rate 0, as in transformers), then follows the schedule `kind` over the rest. Steps past the end count
 * as the end. Settings that are left out have their defaults. Error: `schedule.unknown`.
 */
export function rateFactor(
  kind: string, step: number, total: number, warmup: number, settings: Readonly<Record<string, unknown>> = {},
): number {
  if (!Object.hasOwn(schedules, kind)) {
    throw new UserError('schedule.unknown', `There is no schedule "${kind}": choose one of ${Object.keys(schedules).join(', ')}.`, { kind });
  }
  if (step < warmup) return step / warmup;
  const { fields, at } = schedules[kind as keyof typeof schedules] as Schedule;
  const given = { ...defaultSettings(fields), ...settings } as SettingsOf<typeof fields>;
  // Warm-up may fill a whole run; what follows it has at least one step.
  const rest = Math.max(total - warmup, 1);
  return at(Math.min(step - warmup, rest), rest, given);
}
