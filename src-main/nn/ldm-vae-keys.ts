// Keys of an autoencoder in the original layout (LDM) to those of the diffusers layout. The decoder's levels are counted from
// the other end, and the projections of the attention are convolutions with a kernel of one position.
import { collectParameters, placed, type Parameters, type Placed, type TensorTypes } from './tensor-layout.ts';

const ATTENTION: Readonly<Record<string, string>> = { norm: 'group_norm', q: 'to_q', k: 'to_k', v: 'to_v', proj_out: 'to_out.0' };
const OLD_ATTENTION: Readonly<Record<string, string>> = { query: 'to_q', key: 'to_k', value: 'to_v', proj_attn: 'to_out.0' };
const OWN = /^(encoder|decoder|quant_conv|post_quant_conv)\./;

/** Whether a key without prefix belongs to an autoencoder, in either layout. */
const isVaeKey = (key: string): boolean => OWN.test(key);

/** Parameters of the autoencoder whose keys start with `prefix`, in either layout. */
export function vaeParameters(tensors: TensorTypes, prefix: string): Parameters {
  const keys = [...tensors.keys()].filter((key) => key.startsWith(prefix) && isVaeKey(key.slice(prefix.length))).map((key) => key.slice(prefix.length));
  const levels = Math.max(0, ...keys.map((key) => Number(/^decoder\.up\.(\d+)\./.exec(key)?.[1] ?? -1) + 1));
  return collectParameters(keys.map((key): [string, Placed] => {
    const name = fromOriginal(key, levels);
    const { shape } = tensors.get(prefix + key)!;
    const isProjection = /\.mid_block\.attentions\.0\.to_(q|k|v|out\.0)\.weight$/.test(name);
    const isConvolution = isProjection && shape.length === 4 && shape[2] === 1 && shape[3] === 1;
    return [name, isConvolution ? placed(prefix + key, shape.slice(0, 2), 'reshaped') : placed(prefix + key, shape)];
  }));
}

function fromOriginal(key: string, levels: number): string {
  const rest = key
    .replace(/\.mid\.block_([12])\./, (_, i: string) => `.mid_block.resnets.${Number(i) - 1}.`)
    .replace(/\.mid\.attn_1\.(norm|q|k|v|proj_out)\./, (_, name: string) => `.mid_block.attentions.0.${ATTENTION[name]}.`)
    .replace(/(\.mid_block\.attentions\.0)\.(query|key|value|proj_attn)\./, (_, path: string, name: string) => `${path}.${OLD_ATTENTION[name]}.`)
    .replace(/^encoder\.down\.(\d+)\.block\.(\d+)\./, 'encoder.down_blocks.$1.resnets.$2.')
    .replace(/^encoder\.down\.(\d+)\.downsample\.conv\./, 'encoder.down_blocks.$1.downsamplers.0.conv.')
    .replace(/^decoder\.up\.(\d+)\.block\.(\d+)\./, (_, i: string, j: string) => `decoder.up_blocks.${levels - 1 - Number(i)}.resnets.${j}.`)
    .replace(/^decoder\.up\.(\d+)\.upsample\.conv\./, (_, i: string) => `decoder.up_blocks.${levels - 1 - Number(i)}.upsamplers.0.conv.`);
  if (rest === key) return key.replace(/^(encoder|decoder)\.norm_out\./, '$1.conv_norm_out.');
  return rest.replace('.nin_shortcut.', '.conv_shortcut.');
}
