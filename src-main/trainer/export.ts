// An export with its proof: the file is read again, and both the trained values and the file paint the same picture.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { defaultSampler } from '../contract/job.ts';
import type { ExportOutcome, PaintRequest, RequestOf } from '../contract/trainer.ts';
import { decodeImage } from '../files/images.ts';
import { exportCommand } from '../train/export-command.ts';
import { readRunJob } from '../train/open-run.ts';
import type { CommandContext } from './commands.ts';
import { paint } from './paint.ts';

/** A failed picture is a warning: the file is there. */
export async function exportWithProof({ pictures, device, ...request }: RequestOf<'export'>, context: CommandContext): Promise<ExportOutcome> {
  const proof: { ok: boolean; text: string }[] = [];
  const warnings: string[] = [];
  context.onProgress('write', 0, 0, 'files');
  const result = await exportCommand(request, {
    onEvent: (event) => {
      if (event.kind === 'verdict') proof.push({ ok: event.ok, text: event.text });
      else if (event.kind === 'warning') warnings.push(event.text);
      else if (event.kind === 'phase') context.onProgress(event.name, event.done, event.total, event.unit);
    },
  });
  const { step, files } = result.data as { step: number; files: string[] };
  if (proof.length === 0) proof.push({ ok: result.ok, text: result.text.split('\n').at(-1) ?? '' });
  let painted: ExportOutcome['pictures'] = null;
  if (pictures !== undefined && files[0] !== undefined) {
    try {
      painted = await paintBoth(request.run, step, files[0], request.merge, pictures, device, context);
      const ok = painted.worstDifference <= MOST_DIFFERENCE;
      proof.push({ ok, text: ok ? 'The written file paints the picture of the training.' : `The written file paints another picture than the training: up to ${Math.round(painted.worstDifference * 255)} of 255.` });
    } catch (error) {
      warnings.push(`The picture of the proof could not be painted: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { ok: proof.every(({ ok }) => ok), step, files, proof, warnings, pictures: painted };
}

/** Mean difference per channel, of 1; rounding of f16 weights stays far below. */
const MOST_DIFFERENCE = 0.02;

async function paintBoth(run: string, step: number, file: string, isMerged: boolean, folder: string, device: string, context: CommandContext): Promise<NonNullable<ExportOutcome['pictures']>> {
  const { base, preview, task } = readRunJob(run);
  mkdirSync(folder, { recursive: true });
  const common = {
    strength: 1, prompt: preview.prompts[0] ?? '', negative: preview.negative, seed: preview.seed, guidance: preview.guidance,
    steps: preview.steps, sampler: preview.sampler || defaultSampler,
  };
  const trained: PaintRequest = { ...common, run, step, out: join(folder, 'trained.png') };
  const isModel = isMerged || task !== 'adapter' || !file.endsWith('.safetensors');
  const exported: PaintRequest = { ...common, ...(isModel ? { base: file } : { base: base.model, adapters: [file] }), out: join(folder, 'exported.png') };
  await paint({ pictures: [trained, exported], device }, context);
  const [a, b] = [await decodeImage(trained.out), await decodeImage(exported.out)];
  let sum = 0;
  a.data.forEach((value, i) => { sum += Math.abs(value - b.data[i]!); });
  return { trained: trained.out, exported: exported.out, worstDifference: sum / a.data.length / 255 };
}
