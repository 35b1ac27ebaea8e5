// An export as the studio asks for it, with the verdicts that prove it.

import { verdictCode } from '../contract/said-codes.ts';
import { say, type Text } from '../contract/text.ts';
import type { ExportOutcome, RequestOf } from '../contract/trainer.ts';
import { exportCommand } from '../train/export-command.ts';
import { phaseText, type CommandContext } from './context.ts';

/** What the command's result may hold. */
interface Result {
  readonly step?: number;
  readonly files: readonly string[];
  readonly svdError?: number;
  readonly worstError?: unknown;
  readonly ranks?: readonly number[];
  readonly proofs?: readonly { readonly pictures: { readonly trained: string; readonly exported: string; readonly worst: number } | null }[];
}

/** Errors: those of exporting. */
export async function exportWithProof({ picture, ...request }: RequestOf<'export'>, { control, onProgress }: CommandContext): Promise<ExportOutcome> {
  const proof: ExportOutcome['proof'][number][] = [];
  const warnings: Text[] = [];
  const result = await exportCommand({ ...request, sample: picture !== undefined, ...(picture === undefined ? {} : { device: picture }) }, {
    shouldStop: control.shouldStop,
    onEvent: (event) => {
      if (event.kind === 'verdict') proof.push({ ok: event.ok, ...say(verdictCode(event.name, event.ok, event.about), event.text, event.data) });
      else if (event.kind === 'warning') warnings.push(say(event.code, event.text, event.data));
      else if (event.kind === 'phase') onProgress(phaseText(event), event.done, event.total, event.unit);
    },
  });
  const { step = 0, files, proofs = [], svdError, worstError, ranks } = result.data as Result;
  // How much an approximation leaves out is no verdict: it is as large as was asked for.
  const last = result.text.split('\n').at(-1)!;
  if (svdError !== undefined) warnings.push(say('export.left-out', last, { svdError, worstError, ranks }));
  if (proof.length === 0) proof.push({ ok: result.ok, ...say(verdictCode('export', result.ok, 'summary'), last) });
  const painted = proofs.find(({ pictures }) => pictures !== null)?.pictures ?? null;
  return {
    ok: result.ok, step, files, proof, warnings,
    pictures: painted && { trained: painted.trained, exported: painted.exported, worstDifference: painted.worst / 255 },
  };
}
