// The catalog as plain facts: what can be chosen, with the fields of each choice.
import type { CatalogFields } from '../contract/parse-job.ts';
import type { Fields } from '../contract/fields.ts';
import { adapters } from './adapters/index.ts';
import { consumers } from './consumers/index.ts';
import { objectives } from './objectives/index.ts';
import { optimizers } from './optimizers/index.ts';
import { samplers } from './samplers/index.ts';
import { schedules } from './schedules/index.ts';

const fieldsOf = (choices: Readonly<Record<string, { readonly fields: Fields }>>): Record<string, Fields> =>
  Object.fromEntries(Object.entries(choices).map(([id, { fields }]) => [id, fields]));

export function catalogFields(): CatalogFields {
  return {
    adapter: fieldsOf(adapters as never),
    optimizer: fieldsOf(optimizers as never),
    schedule: fieldsOf(schedules),
    objectives: Object.keys(objectives),
    samplers: Object.keys(samplers),
    adapterFor: adapterSettingsFor(),
  };
}

/** The axis of magnitudes that a program applies as trained; most of them agree, so that is what serves all. */
function adapterSettingsFor(): Record<string, { axis: string }> {
  const axes = Object.entries(consumers).map(([program, { axis }]) => [program, { axis }] as const);
  const inputs = axes.filter(([, { axis }]) => axis === 'input').length;
  return { ...Object.fromEntries(axes), all: { axis: 2 * inputs >= axes.length ? 'input' : 'output' } };
}
