// What the app says with names of the command line, said with those of the window. By code, as another language would; everything else
// the app says stands in the window as it is.
import type { Sentences } from '../../sentences.ts';

const list = (names: unknown, last = 'and'): string => {
  const all = Array.isArray(names) ? names.map(String) : [];
  return all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} ${last} ${all.at(-1)}`;
};
const percent = (share: unknown): string => `${(100 * Number(share)).toPrecision(2)} %`;
const few = 'the merged checkpoint, or a plain LoRA, whose error is measured';

interface ProgramProof { readonly label: string; readonly ok: boolean; readonly problems: readonly string[] }
interface RankCount { readonly value: number; readonly count: number }

/** A function gives null where the app's own words name nothing of the command line. */
export const said: Sentences = {
  'export.not-exact': ({ label, axis, wanted, others }) => `${label} would not show what was trained: the adapter’s magnitudes are per ${axis}, and it applies them per ${wanted}. A file for ${list(others, 'or')} is exact, and so is the merged checkpoint; a plain LoRA comes close, with its error measured. For a new training answer “Where will you use it?” with ${label}.`,
  'export.unnamed-layer': ({ label, layer, name }) => `${label ?? 'The program'} has no name for the layer “${layer ?? name}”: export the merged checkpoint, choose another program, or train other layers.`,
  'export.refused': ({ label, refusal }) => `${label} would not take the file: ${refusal}. Export the merged checkpoint, choose another program, or train other layers.`,
  'export.unread-difference': ({ lost }) => `${lost} The merged checkpoint is exact there, as in every program.`,
  'export.axis': ({ programs, axis, layout }) => `${list(programs)} would not apply magnitudes per ${axis} as they were trained, so no ${layout} file was written. There, use ${few}.`,
  'export.kind': ({ kind }) => `Adapters of the kind “${kind}” have no layout that other programs read exactly: export the merged checkpoint.`,
  'export.nothing': 'No layout that this program reads can carry the adapter: export the merged checkpoint.',
  'export.marked': ({ step }) => `Step ${step} is exported, because it was chosen as the best; another can be chosen under “Step”.`,
  'export.no-adapter': 'This run trained the weights themselves, so there is no adapter: export the merged checkpoint, or whole differences of the weights.',
  'export.no-magnitudes': 'This adapter is a LoRA without magnitudes: export it as a plain LoRA.',
  'export.no-differences': ({ program }) => `${program} reads no differences of weights: export ${few}.`,
  'export.no-base': 'This run started from random weights, so there is nothing to be different from: export the merged checkpoint.',
  'export.mixed-magnitudes': ({ layer }) => `The adapter has magnitudes in some layers and none in others (first “${layer}”), and programs would take all of them for DoRA: export ${few}.`,
  'export.not-trained': ({ path, relative }) => `The merged checkpoint was not left, because it would be wrong: in “${path}” it differs from what was trained by ${percent(relative)} of the change. Export again; if it stays so, export an adapter file or a plain LoRA, and report it.`,
  'export.rank': 'A rank or a share of the change belongs to a plain LoRA, and a share is a number between 0 and 1.',
  'export.base': ({ file }) => `“${file}” is an adapter file: choose the checkpoint that it was trained on.`,
  'verdict.export.fails': ({ label, programs }) => `No ${label} file was left, because it would be wrong. ${(programs as readonly ProgramProof[]).filter(({ ok }) => !ok).map((program) => `${program.label}: ${program.problems.join('; ')}.`).join(' ')} Export ${few}; or choose f32 under “Numbers”.`,
  'verdict.export.differences.fails': ({ overall }) => `No file was left, because its kind of numbers takes ${percent(overall)} of the change: choose f32 under “Numbers”.`,
  'verdict.movement.fails': ({ wild, still, tensors }) => (Array.isArray(wild) && wild.length > 0 || !Array.isArray(still) ? null
    : `${still.length} of ${tensors} trained tensors did not move in the first steps, first “${still[0]}”: nothing is learnt there. Check the learning rate, and examine the device in Settings.`),
  'inspect.adapter.layers': ({ layers, inTextEncoders, ranks, hasMagnitudes, axis }) => (hasMagnitudes !== true || axis !== null ? null
    : `${layers} layers (${inTextEncoders === 0 ? 'none' : inTextEncoders} in text encoders), ${(ranks as readonly RankCount[]).map(({ value, count }) => `rank ${value} in ${count}`).join(', ')}; with magnitudes, and the file does not say whether they are per output or per input`),
  'adapter.of-run': ({ path }) => `“${path}” is a file of a run’s own, and no adapter: take one of the run’s exports, or make one on the screen “Export”.`,
  'adapter.axis': ({ path, possible }) => (Array.isArray(possible) && possible.length === 0 ? null
    : `“${path}” does not say whether its magnitudes belong to rows or columns of the weights, so it cannot be used: export it again with a newer version of the program that made it.`),
  'adapter.from-kind': ({ path, kind, layer }) => (layer !== undefined ? `“${path}” has magnitudes in some layers and none in others (first “${layer}”), which no training can go on from: choose another adapter to start from.`
    : kind === undefined ? null : `“${path}” is a DoRA, and a LoRA is to be trained, which has no place for its magnitudes: train a DoRA, or export the run it comes from as a plain LoRA, which measures what is lost.`),
  'adapter.from-rank': ({ path, rank }) => `“${path}” has rank ${rank}, which is more than is to be trained: set the rank to ${rank}, or choose another adapter to start from.`,
  'result.not-ours': ({ path }) => `“${path}” would be lost: choose another folder.`,
  'files.is-there': ({ path }) => `“${path}” is there already and may hold your own changes: choose another name.`,
  'run.not-a-folder': ({ path }) => `“${path}” is a file, and the run needs a folder there: take the file away, or give the run another name.`,
  'run.not-empty': ({ path }) => `“${path}” already holds something: give the run another name.`,
  'run.in-use': ({ path, pid }) => `Another process (${pid}) is training in “${path}”: wait for it or stop it. If there is none, remove the file “.lock” in it.`,
};
