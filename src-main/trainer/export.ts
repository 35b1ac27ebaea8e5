// An export as the studio asks for it, with the verdicts that prove it.

import type { ExportOutcome, RequestOf } from '../contract/trainer.ts';
import { exportCommand } from '../train/export-command.ts';
import type { CommandContext } from './commands.ts';

/** What the command's result may hold. */
interface Result {
  readonly step?: number;
  readonly files: readonly string[];
  readonly svdError?: number;
  readonly proofs?: readonly { readonly pictures: { readonly trained: string; readonly exported: string; readonly worst: number } | null }[];
}

/** Errors: those of exporting. */
export async function exportWithProof({ picture, ...request }: RequestOf<'export'>, { control, onProgress }: CommandContext): Promise<ExportOutcome> {
  const proof: { ok: boolean; text: string }[] = [];
  const warnings: string[] = [];
  const result = await exportCommand({ ...request, sample: picture !== undefined, ...(picture === undefined ? {} : { device: picture }) }, {
    shouldStop: control.shouldStop,
    onEvent: (event) => {
      if (event.kind === 'verdict') proof.push({ ok: event.ok, text: event.text });
      else if (event.kind === 'warning') warnings.push(event.text);
      else if (event.kind === 'phase') onProgress(event.name, event.done, event.total, event.unit);
    },
  });
  const { step = 0, files, proofs = [], svdError } = result.data as Result;
  // How much an approximation leaves out is no verdict: it is as large as was asked for.
  if (svdError !== undefined) warnings.push(result.text.split('\n').at(-1)!);
  if (proof.length === 0) proof.push({ ok: result.ok, text: result.text.split('\n').at(-1) ?? '' });
  const painted = proofs.find(({ pictures }) => pictures !== null)?.pictures ?? null;
  return {
    ok: result.ok, step, files, proof, warnings,
    pictures: painted && { trained: painted.trained, exported: painted.exported, worstDifference: painted.worst / 255 },
  };
}
