// The layout of kohya's scripts: `lora_unet_<path with underscores>.lora_down.weight`. ComfyUI, A1111, Forge and InvokeAI read
// it, and for LoRA everything else does too. DoRA magnitudes are called `dora_scale`.
import type { Shape } from '../../base/shape.ts';
import { sameShape } from '../../base/shape.ts';
import { ldmUnetNames } from '../../nn/ldm-unet-names.ts';
import { commonMetadata, type AdapterFacts, type AdapterFormat, type AdapterPart, type DoraAxis, type NamedModel } from '../define/format.ts';

const SUFFIX: Readonly<Record<AdapterPart, string>> = {
  'lora_A.weight': 'lora_down.weight', 'lora_B.weight': 'lora_up.weight', lora_magnitude_vector: 'dora_scale', alpha: 'alpha',
};
const PART = new Map(Object.entries(SUFFIX).map(([part, suffix]) => [suffix, part as AdapterPart]));
const KEY = /^((?:lora_(?:unet|te|te1|te2)|lycoris)_[^.]+)\.(.+)$/;

export const kohya: AdapterFormat = {
  label: 'kohya',
  help: 'For ComfyUI, A1111, Forge and InvokeAI.',
  axes: ['output', 'input'],
  hasAlpha: true,
  writtenFor: ['comfyui', 'a1111', 'forge', 'invokeai'],
  exactIn: (axis) => {
    if (axis === null) return ['comfyui', 'a1111', 'forge', 'invokeai', 'diffusers'];
    // On the output axis ComfyUI and Forge divide by the norm of the wrong weight, A1111 and InvokeAI scale columns.
    return axis === 'input' ? ['comfyui', 'a1111', 'forge', 'invokeai'] : [];
  },
  keyOf: (path, part, model) => {
    const [module] = spellings(path, model);
    return module === undefined ? null : `${module}.${SUFFIX[part]}`;
  },
  modulesOf: spellings,
  parse: (key) => {
    const [, module, suffix] = KEY.exec(key) ?? [];
    const part = PART.get(suffix ?? '');
    return module !== undefined && part !== undefined ? { module, part } : null;
  },
  // Never 1-D: ComfyUI would take the outer product with the norms.
  magnitudeShape: (weight, axis) => weight.map((extent, i) => (i === (axis === 'output' ? 0 : 1) ? extent : 1)),
  axesOf,
  metadata,
};

/** The name that is written, then others that are read. */
function spellings(path: string, model: NamedModel): string[] {
  const component = path.slice(0, path.indexOf('.'));
  const module = path.slice(component.length + 1);
  const flat = (name: string): string => name.replaceAll('.', '_');
  if (component !== model.denoiser) {
    const index = model.textEncoders.indexOf(component);
    if (index < 0) return [];
    const numbered = `lora_te${index + 1}_${flat(module)}`;
    return model.textEncoders.length > 1 ? [numbered] : [`lora_te_${flat(module)}`, numbered];
  }
  const own = `lora_unet_${flat(module)}`;
  const original = namesOf(model)(module);
  if (original === null) return [own];
  // A1111 and InvokeAI expect the original block names where the text has a pooled form (SDXL), else those of diffusers.
  const isPooled = model.layers.has(`${model.denoiser}.add_embedding.linear_1`);
  const other = `lora_unet_${flat(original)}`;
  return isPooled ? [other, own] : [own, other];
}

const known = new WeakMap<NamedModel, (module: string) => string | null>();

function namesOf(model: NamedModel): (module: string) => string | null {
  let names = known.get(model);
  if (!names) {
    const prefix = `${model.denoiser}.`;
    names = ldmUnetNames([...model.layers.keys()].filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length)));
    known.set(model, names);
  }
  return names;
}

/** Old writers gave plain vectors, which name their axis only where the weight is not square. */
function axesOf(magnitude: Shape, weight: Shape): DoraAxis[] {
  const isFlat = magnitude.length === 1;
  return (['output', 'input'] as const).filter((axis) =>
    isFlat ? magnitude[0] === weight[axis === 'output' ? 0 : 1] : sameShape(magnitude, kohya.magnitudeShape(weight, axis)));
}

function metadata(facts: AdapterFacts): Record<string, string> {
  const { base, axis } = facts;
  const details = axis === null ? {} : { algo: 'locon', dora_wd: 'True', wd_on_output: axis === 'output' ? 'True' : 'False' };
  return {
    ...commonMetadata(facts),
    ss_v2: base.isVersion2 ? 'True' : 'False',
    ss_base_model_version: base.kohyaVersion,
    ss_network_module: axis === null ? 'networks.lora' : 'lycoris.kohya',
    ss_network_dim: String(facts.rank),
    // Folded into the weights, so that alpha = rank.
    ss_network_alpha: String(facts.rank),
    ss_network_args: JSON.stringify(details),
    ss_output_name: facts.title,
    ss_sd_model_name: base.name,
    ss_steps: String(facts.steps),
    ss_seed: String(facts.seed),
    ss_learning_rate: String(facts.learningRate),
    ss_optimizer: facts.optimizer,
    ...(facts.note ? { ss_training_comment: facts.note } : {}),
    sshs_model_hash: facts.hash,
  };
}
