// Names of a UNet's modules in the original layout (LDM, "input_blocks"), from those of the diffusers layout. The two number
// the same blocks in different ways: input blocks are counted through, resamplers included.

export const INSIDE_RESNET: Readonly<Record<string, string>> = {
  norm1: 'in_layers.0', conv1: 'in_layers.2', time_emb_proj: 'emb_layers.1',
  norm2: 'out_layers.0', conv2: 'out_layers.3', conv_shortcut: 'skip_connection',
};

export const TOP: Readonly<Record<string, string>> = {
  conv_in: 'input_blocks.0.0', conv_norm_out: 'out.0', conv_out: 'out.2',
  'time_embedding.linear_1': 'time_embed.0', 'time_embedding.linear_2': 'time_embed.2',
  'add_embedding.linear_1': 'label_emb.0.0', 'add_embedding.linear_2': 'label_emb.0.2',
};

const BLOCK = /^(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)(?:\.(.+))?$/;
const MIDDLE = /^mid_block\.(resnets|attentions)\.(\d+)\.(.+)$/;

/**
 * @param modules module paths of the whole UNet: the numbers of layers per block are read from them
 * @returns the name of a module, or null for one that has none
 */
export function ldmUnetNames(modules: Iterable<string>): (module: string) => string | null {
  let perBlock = 0;
  const attending = new Set<number>();
  for (const module of modules) {
    const match = BLOCK.exec(module);
    if (!match) continue;
    const [, side, block, kind, layer] = match;
    if (side === 'down' && kind === 'resnets') perBlock = Math.max(perBlock, Number(layer) + 1);
    if (side === 'up' && kind === 'attentions') attending.add(Number(block));
  }
  const stride = perBlock + 1;
  return (module) => {
    const top = TOP[module];
    if (top !== undefined) return top;
    const middle = MIDDLE.exec(module);
    if (middle) {
      const [, kind, index, rest] = middle;
      return kind === 'attentions' ? `middle_block.1.${rest}` : insideResnet(`middle_block.${index === '0' ? 0 : 2}`, rest);
    }
    const match = BLOCK.exec(module);
    if (!match) return null;
    const [, side, blockText, kind, layerText, rest] = match;
    const block = Number(blockText);
    const layer = Number(layerText);
    if (kind === 'downsamplers') return `input_blocks.${stride * (block + 1)}.0.op`;
    if (kind === 'upsamplers') return `output_blocks.${stride * block + perBlock}.${attending.has(block) ? 2 : 1}.conv`;
    const outer = side === 'down' ? `input_blocks.${1 + stride * block + layer}` : `output_blocks.${stride * block + layer}`;
    return kind === 'resnets' ? insideResnet(`${outer}.0`, rest) : `${outer}.1.${rest}`;
  };
}

const insideResnet = (block: string, name = ''): string | null => {
  const inside = INSIDE_RESNET[name];
  return inside === undefined ? null : `${block}.${inside}`;
};
