// Small files beside an adapter: cards and workflows that its programs take.
import { basename } from 'node:path';
import { consumers } from '../catalog/consumers/index.ts';
import type { BesideFacts, PictureRecipe } from '../catalog/define/beside.ts';
import type { Program } from '../catalog/define/format.ts';
import type { Sampler } from '../catalog/define/sampler.ts';
import { samplers } from '../catalog/samplers/index.ts';
import { writeFileAtomic } from '../files/atomic-write.ts';
import type { SourceFacts } from './export-source.ts';
import type { PictureSettings } from './picture.ts';

const ENDING = /\.safetensors$/;

/** Gives the files written. */
export async function writeBeside(path: string, programs: readonly Program[], facts: SourceFacts, metadata: Readonly<Record<string, string>>, picture: PictureSettings | null): Promise<string[]> {
  const told: BesideFacts = {
    file: basename(path), title: facts.title, trigger: facts.trigger, note: metadata['adora.note'] ?? '', base: facts.base,
    clipSkip: facts.training?.clipSkip ?? null, picture: picture && recipeOf(picture),
  };
  const wanted = new Map(programs.flatMap((program) => consumers[program].beside?.(told) ?? []).map(({ ending, text }) => [ending, text]));
  const files: string[] = [];
  for (const [ending, text] of wanted) {
    const file = path.replace(ENDING, ending);
    await writeFileAtomic(file, text);
    files.push(file);
  }
  return files;
}

function recipeOf({ prompt, negative, seed, steps, guidance, width, height, sampler }: PictureSettings): PictureRecipe {
  const { node } = (samplers as Readonly<Record<string, Sampler>>)[sampler]!.elsewhere;
  return { prompt, negative, seed, steps, guidance, width, height, sampler: node.sampler, scheduler: node.scheduler };
}
