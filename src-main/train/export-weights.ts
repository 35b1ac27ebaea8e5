// Differences of the weights that a run has trained themselves: layers, biases and norms.
import { UserError } from '../base/errors.ts';
import type { AdapterFormat } from '../catalog/define/format.ts';
import { namedModel } from './named-model.ts';
import type { Difference } from './export-diff.ts';
import type { DifferencesToWrite } from './export-differences.ts';
import { runStem, sourceOfRun } from './export-source.ts';
import type { openSavedValues } from './open-run.ts';
import type { OpenRun } from './run-job.ts';

/** Errors: `export.unnamed-layer` for embeddings, which no program takes as a difference; `export.no-base`. */
export async function runDifferences(run: OpenRun, saved: ReturnType<typeof openSavedValues>, step: number, format: AdapterFormat): Promise<DifferencesToWrite> {
  const { plan, model, baseModel, job } = run;
  if (job.init === 'random') throw new UserError('export.no-base', 'The run started from random weights, so there is nothing to be different from: use --as merged.');
  const named = namedModel(baseModel.files, model.denoiserComponent);
  const differences = plan.tensors.map(({ name, shape }): Difference => {
    const module = name.replace(/\.(weight|bias)$/, '');
    const isBias = name.endsWith('.bias');
    const [spelled] = format.modulesOf(module, named);
    if (spelled === undefined || (/embedding/.test(module) && !module.startsWith(`${named.denoiser}.`))) {
      throw new UserError('export.unnamed-layer', `No program takes a difference of "${name}": use --as merged.`, { name });
    }
    const isNorm = plan.tensors.some((other) => other.name === `${module}.weight` && other.shape.length === 1);
    const ending = isNorm ? (isBias ? 'b_norm' : 'w_norm') : isBias ? 'diff_b' : 'diff';
    return {
      path: name, name: `${spelled}.${ending}`, shape,
      values: async () => {
        const base = baseModel.readF32(name);
        return (saved(name).data as Float32Array).map((value, i) => value - base[i]!);
      },
    };
  });
  return { differences, named, facts: await sourceOfRun(run, new Map(), step).facts(), stem: runStem(job, step) };
}
