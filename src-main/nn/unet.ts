// UNet2DConditionModel: a denoiser on latents, told the timestep and a context it attends to (Rombach et al. 2022,
// section 3; XL: Podell et al. 2023, section 2).
// B batch, C channels, H, W extents of the latent, S context tokens, D channels of the context
import { assert } from '../base/errors.ts';
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { castTo } from './cast.ts';
import { conv } from './conv.ts';
import { groupNorm } from './norm.ts';
import { downsample, upsample } from './resample.ts';
import { resnetBlock, type ResnetOptions } from './resnet-block.ts';
import { spatialTransformer } from './spatial-transformer.ts';
import { sinusoid, timestepEmbedding } from './timestep-embedding.ts';
import type { UNetConfig } from './unet-config.ts';

export interface UNetInputs {
  /** [B,C,H,W]; any extents, odd ones too. */
  readonly sample: Value;
  /** [B], f32. */
  readonly timestep: Value;
  /** [B,S,D] */
  readonly context: Value;
  /** [B,P]; with `textTime` only. */
  readonly pooled?: Value;
  /** [B,6], f32; with `textTime` only. */
  readonly timeIds?: Value;
}

/** -> [B,outChannels,H,W] in the computing type. Each resnet block, with its transformer, is a region. */
export function unet(g: Builder, config: UNetConfig, inputs: UNetInputs, part = 'unet'): Value {
  const { levels, groups, eps } = config;
  const resnet: ResnetOptions = { groups, eps, timeScaleShift: config.timeScaleShift, outputScale: 1 };
  let x!: Value;
  let time!: Value;
  let context!: Value;
  const block = (path: string, i: number, channels: number, heads: number, depths: readonly number[] | null): Value => {
    const hidden = resnetBlock(g, `${path}.resnets.${i}`, x, time, channels, resnet);
    if (!depths) return hidden;
    return spatialTransformer(g, `${path}.attentions.${i}`, hidden, context, transformerOptions(config, heads, depths[i]!));
  };

  g.region(`${part}.in`, () => {
    time = g.silu(timeInput(g, config, inputs, part));
    context = castTo(g, inputs.context, g.compute);
    x = conv(g, `${part}.conv_in`, castTo(g, inputs.sample, g.compute), levels[0]!.channels, { kernel: config.convInKernel });
  });

  const skips = [x];
  levels.forEach(({ channels, layers, heads, downDepths }, level) => {
    const path = `${part}.down_blocks.${level}`;
    for (let i = 0; i < layers; i++) {
      g.region(`${part}.down.${level}.${i}`, () => {
        x = block(path, i, channels, heads, downDepths);
        skips.push(x);
        if (i < layers - 1 || level === levels.length - 1) return;
        x = downsample(g, `${path}.downsamplers.0`, x, 1);
        skips.push(x);
      });
    }
  });

  g.region(`${part}.mid`, () => {
    const path = `${part}.mid_block`;
    const scaled = { ...resnet, outputScale: config.midScale };
    const channels = levels.at(-1)!.channels;
    x = resnetBlock(g, `${path}.resnets.0`, x, time, channels, scaled);
    x = spatialTransformer(g, `${path}.attentions.0`, x, context, transformerOptions(config, config.midHeads, config.midDepth));
    x = resnetBlock(g, `${path}.resnets.1`, x, time, channels, scaled);
  });

  levels.toReversed().forEach(({ channels, layers, heads, upDepths }, level) => {
    const path = `${part}.up_blocks.${level}`;
    for (let i = 0; i <= layers; i++) {
      g.region(`${part}.up.${level}.${i}`, () => {
        x = g.concat([x, skips.pop()!], { axis: 1 });
        x = block(path, i, channels, heads, upDepths);
        if (i < layers || level === levels.length - 1) return;
        x = upsample(g, `${path}.upsamplers.0`, x, skips.at(-1)!.shape.slice(2) as [number, number]);
      });
    }
  });
  assert(skips.length === 0, 'a skip connection of the UNet is not used');

  return g.region(`${part}.out`, () => {
    const normal = groupNorm(g, `${part}.conv_norm_out`, x, groups, eps);
    return conv(g, `${part}.conv_out`, g.silu(normal), config.outChannels, { kernel: config.convOutKernel });
  });
}

const transformerOptions = (config: UNetConfig, heads: number, depth: number) => ({
  heads, depth, groups: config.groups, linearProjection: config.linearProjection, upcastAttention: config.upcastAttention,
});

/** The embedding [B,timeSize] of the timestep and, with `textTime`, of pooled text and picture sizes. */
function timeInput(g: Builder, config: UNetConfig, inputs: UNetInputs, part: string): Value {
  const { flipSinToCos, freqShift, timeSize, textTime, levels } = config;
  const waves = sinusoid(g, inputs.timestep, { size: levels[0]!.channels, flipSinToCos, freqShift });
  const time = timestepEmbedding(g, `${part}.time_embedding`, waves, timeSize);
  if (!textTime) return time;
  const { pooled, timeIds } = inputs;
  assert(pooled && timeIds, 'this UNet needs pooled text and time ids');
  const [batch, count] = timeIds.shape as [number, number];
  const ids = sinusoid(g, g.reshape(timeIds, { shape: [batch * count] }), { size: textTime.timeIdSize, flipSinToCos, freqShift });
  const idWaves = g.reshape(ids, { shape: [batch, count * textTime.timeIdSize] });
  const joined = g.concat([castTo(g, pooled, g.compute), castTo(g, idWaves, g.compute)], { axis: 1 });
  assert(joined.shape[1] === textTime.inputSize, `pooled text and time ids make ${joined.shape[1]}, not ${textTime.inputSize}`);
  return g.add(time, timestepEmbedding(g, `${part}.add_embedding`, joined, timeSize));
}
