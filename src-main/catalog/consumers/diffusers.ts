// diffusers with PEFT (loaders/lora_pipeline.py; peft: tuners/lora/dora.py). The strength stands inside the normalisation: at 0
// a DoRA is still m·W0/‖W0‖.
import { changed, norms, scaleVectors, type ConsumerProgram } from '../define/consumer.ts';
import { MAGNITUDE } from '../define/format.ts';

export const diffusers: ConsumerProgram = {
  label: 'diffusers',
  help: 'Reads LoRA, and DoRA with magnitudes per output.',
  naming: 'dotted',
  axis: 'output',
  modulesOf: (path) => [path],
  endings: { 'lora_B.weight': ['lora_B.weight'], 'lora_A.weight': ['lora_A.weight'], [MAGNITUDE]: [MAGNITUDE, `${MAGNITUDE}.weight`], alpha: [] },
  // transformers loads what belongs to text encoders by the names of the modules' own parameters (integrations/peft.py, version 5).
  overlooks: (key) => key.startsWith('text_encoder') && key.endsWith(`.${MAGNITUDE}`),
  weight: (layer, strength) => {
    // Without a configuration in the file alpha is the rank.
    const weight = changed(layer, strength);
    const { magnitude, shape } = layer;
    if (magnitude === null) return weight;
    if (magnitude.shape.reduce((a, b) => a * b, 1) !== shape[0]) return null;
    return scaleVectors(weight, layer, 'output', norms(weight, layer, 'output').map((size, i) => magnitude.values[i]! / size));
  },
};
