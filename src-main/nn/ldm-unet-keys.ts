// Keys of a UNet in the original layout (LDM, "input_blocks") to those of the diffusers layout. What a block is, and where a
// level ends, stands in the keys themselves: a resampler closes its level.
import { INSIDE_RESNET, TOP } from './ldm-unet-names.ts';
import { collectParameters, placed, type Parameters, type Placed, type TensorTypes } from './tensor-layout.ts';

type Kind = 'resnet' | 'attention' | 'down' | 'up';

const invert = (names: Readonly<Record<string, string>>): [ldm: string, diffusers: string][] =>
  Object.entries(names).map(([diffusers, ldm]) => [`${ldm}.`, diffusers]);
const TOPS = invert(TOP);
const INSIDE = invert(INSIDE_RESNET);
const MIDDLE: readonly [string, string, Kind][] = [
  ['middle_block.0.', 'mid_block.resnets.0', 'resnet'], ['middle_block.1.', 'mid_block.attentions.0', 'attention'],
  ['middle_block.2.', 'mid_block.resnets.1', 'resnet'],
];
const BLOCK = /^(input|output)_blocks\.(\d+)\.(\d+)\.(.+)$/;
const OWN = /^(input_blocks|middle_block|output_blocks|out|time_embed|label_emb)\./;

/** Whether a key without prefix belongs to a UNet in this layout. */
const isLdmUnetKey = (key: string): boolean => OWN.test(key);

/**
 * Parameters of the UNet whose keys start with `prefix`. A key that is none of the layout stands for itself, so that the
 * comparison with the graph names it.
 */
export function ldmUnetParameters(tensors: TensorTypes, prefix: string): Parameters {
  const keys = [...tensors.keys()].filter((key) => key.startsWith(prefix) && (prefix !== '' || isLdmUnetKey(key))).map((key) => key.slice(prefix.length));
  const places = blockPlaces(keys);
  return collectParameters(keys.map((key): [string, Placed] => [rename(key, places) ?? key, placed(prefix + key, tensors.get(prefix + key)!.shape)]));
}

function rename(key: string, places: ReadonlyMap<string, Place>): string | null {
  const top = TOPS.find(([ldm]) => key.startsWith(ldm));
  if (top) return `${top[1]}.${key.slice(top[0].length)}`;
  const middle = MIDDLE.find(([ldm]) => key.startsWith(ldm));
  if (middle) return inside(middle[1], middle[2], key.slice(middle[0].length));
  const match = BLOCK.exec(key);
  if (!match) return null;
  const [, side, block, part, rest] = match;
  const place = places.get(`${side}.${block}.${part}`);
  return place ? inside(place.path, place.kind, rest!) : null;
}

function inside(path: string, kind: Kind, rest: string): string | null {
  if (kind === 'attention') return `${path}.${rest}`;
  if (kind !== 'resnet') return `${path}.${rest.replace(/^op\./, 'conv.')}`;
  const found = INSIDE.find(([ldm]) => rest.startsWith(ldm));
  return found ? `${path}.${found[1]}.${rest.slice(found[0].length)}` : null;
}

interface Place {
  readonly path: string;
  readonly kind: Kind;
}

/** Diffusers path of every module directly in an input or output block, by `input.4.1`. */
function blockPlaces(keys: readonly string[]): Map<string, Place> {
  const kinds = new Map<string, Kind>();
  const counts = { input: 0, output: 0 };
  for (const key of keys) {
    const match = BLOCK.exec(key);
    if (!match) continue;
    const [, side, block, part, rest] = match as unknown as [string, 'input' | 'output', string, string, string];
    kinds.set(`${side}.${block}.${part}`, kindOf(rest));
    counts[side] = Math.max(counts[side], Number(block) + 1);
  }
  const places = new Map<string, Place>();
  for (const side of ['input', 'output'] as const) {
    const name = side === 'input' ? 'down_blocks' : 'up_blocks';
    let level = 0;
    let layer = 0;
    for (let block = side === 'input' ? 1 : 0; block < counts[side]; block++) {
      let isLast = false;
      for (let part = 0; part < 3; part++) {
        const kind = kinds.get(`${side}.${block}.${part}`);
        if (kind === undefined) continue;
        const isResampler = kind === 'down' || kind === 'up';
        const path = `${name}.${level}.${{ resnet: `resnets.${layer}`, attention: `attentions.${layer}`, down: 'downsamplers.0', up: 'upsamplers.0' }[kind]}`;
        places.set(`${side}.${block}.${part}`, { path, kind });
        isLast ||= isResampler;
      }
      layer = isLast ? 0 : layer + 1;
      if (isLast) level++;
    }
  }
  return places;
}

function kindOf(rest: string): Kind {
  if (/^(in_layers|emb_layers|out_layers|skip_connection)\./.test(rest)) return 'resnet';
  if (rest.startsWith('op.')) return 'down';
  return rest.startsWith('conv.') ? 'up' : 'attention';
}
