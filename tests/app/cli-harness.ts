// A command line without a process: collected output, a clock that stands still, an engine made of fakes.

import { runCli, type Engine } from '../../src-main/cli/run-cli.ts';
import { defineFields } from '../../src-main/contract/fields.ts';
import type { CatalogFields } from '../../src-main/contract/parse-job.ts';

export const catalog: CatalogFields = {
  adapter: {
    dora: defineFields({ rank: { kind: 'number', default: 16, min: 1, max: 1024, label: 'Rank', help: 'Width.' } }),
  },
  optimizer: { adamw: defineFields({}) },
  schedule: { constant: defineFields({}) },
  objectives: ['epsilon'],
  samplers: ['ddim'],
};

export async function adora(
  args: readonly string[], engine: Partial<Engine> = {}, isTerminal = false,
): Promise<{ code: number; out: string; error: string }> {
  let out = '';
  let error = '';
  const code = await runCli(args, {
    isTerminal, hasColour: false, columns: () => 60, now: () => 5,
    out: (text) => { out += text; },
    error: (text) => { error += text; },
  }, { catalogFields: async () => catalog, ...engine });
  return { code, out, error };
}
