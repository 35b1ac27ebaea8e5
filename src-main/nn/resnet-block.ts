import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { conv } from './conv.ts';
import { linear } from './linear.ts';
import { groupNorm } from './norm.ts';

export interface ResnetOptions {
  readonly groups: number;
  readonly eps: number;
  /** How the time enters: added to the channels, or scaling and shifting them after the second norm. */
  readonly timeScaleShift: 'default' | 'scale_shift';
  /** The sum of both branches is divided by this. */
  readonly outputScale: number;
}

/**
 * x[N,C,H,W] -> [N,channels,H,W]: two convolutions of 3x3, each after norm and SiLU, and a shortcut (1x1 convolution
 * when the channels differ).
 * @param time SiLU of the time embedding [N,E], or null in a model without time
 */
export function resnetBlock(
  g: Builder, path: string, x: Value, time: Value | null, channels: number, options: ResnetOptions,
): Value {
  const { groups, eps, timeScaleShift, outputScale } = options;
  let hidden = conv(g, `${path}.conv1`, g.silu(groupNorm(g, `${path}.norm1`, x, groups, eps)), channels);
  if (time && timeScaleShift === 'default') hidden = g.add(hidden, timeChannels(g, path, time, channels));
  hidden = groupNorm(g, `${path}.norm2`, hidden, groups, eps);
  if (time && timeScaleShift === 'scale_shift') {
    const both = timeChannels(g, path, time, 2 * channels);
    const sizes = [time.shape[0]!, channels, 1, 1];
    const scale = g.slice(both, { starts: [0, 0, 0, 0], sizes });
    const shift = g.slice(both, { starts: [0, channels, 0, 0], sizes });
    hidden = g.add(g.mul(hidden, g.add(scale, 1)), shift);
  }
  hidden = conv(g, `${path}.conv2`, g.silu(hidden), channels);
  const shortcut = x.shape[1] === channels ? x : conv(g, `${path}.conv_shortcut`, x, channels, { kernel: 1 });
  const sum = g.add(shortcut, hidden);
  return outputScale === 1 ? sum : g.mul(sum, 1 / outputScale);
}

/** [N,E] -> [N,size,1,1] */
function timeChannels(g: Builder, path: string, time: Value, size: number): Value {
  return g.reshape(linear(g, `${path}.time_emb_proj`, time, size), { shape: [time.shape[0]!, size, 1, 1] });
}
