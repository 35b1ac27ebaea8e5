// Every operation of the graph, by name. A test compares this list with the folder.
import { abs } from './abs.ts';
import { add } from './add.ts';
import { attention } from './attention.ts';
import { cast } from './cast.ts';
import { concat } from './concat.ts';
import { conv2dInputGrad } from './conv2d-input-grad.ts';
import { conv2dWeightGrad } from './conv2d-weight-grad.ts';
import { conv2d } from './conv2d.ts';
import { cos } from './cos.ts';
import { detach } from './detach.ts';
import { div } from './div.ts';
import { equal } from './equal.ts';
import { erf } from './erf.ts';
import { exp } from './exp.ts';
import { expand } from './expand.ts';
import { gather } from './gather.ts';
import { geglu } from './geglu.ts';
import { gelu } from './gelu.ts';
import { greater } from './greater.ts';
import { groupNorm } from './group-norm.ts';
import { layerNorm } from './layer-norm.ts';
import { linear } from './linear.ts';
import { log } from './log.ts';
import { lowRankLinear } from './low-rank-linear.ts';
import { matmulAdd } from './matmul-add.ts';
import { matmul } from './matmul.ts';
import { maximum } from './maximum.ts';
import { mean } from './mean.ts';
import { minimum } from './minimum.ts';
import { mul } from './mul.ts';
import { neg } from './neg.ts';
import { pad } from './pad.ts';
import { quickGelu } from './quick-gelu.ts';
import { reciprocal } from './reciprocal.ts';
import { reduceMax } from './reduce-max.ts';
import { reduceSum } from './reduce-sum.ts';
import { reshape } from './reshape.ts';
import { scatterRows } from './scatter-rows.ts';
import { sigmoid } from './sigmoid.ts';
import { sign } from './sign.ts';
import { silu } from './silu.ts';
import { sin } from './sin.ts';
import { slice } from './slice.ts';
import { softmax } from './softmax.ts';
import { sqrt } from './sqrt.ts';
import { sub } from './sub.ts';
import { sumSquares } from './sum-squares.ts';
import { tanh } from './tanh.ts';
import { transpose } from './transpose.ts';
import { upsampleNearest } from './upsample-nearest.ts';
import { where } from './where.ts';

export const ops = {
  abs,
  add,
  attention,
  cast,
  concat,
  conv2dInputGrad,
  conv2dWeightGrad,
  conv2d,
  cos,
  detach,
  div,
  equal,
  erf,
  exp,
  expand,
  gather,
  geglu,
  gelu,
  greater,
  groupNorm,
  layerNorm,
  linear,
  log,
  lowRankLinear,
  matmulAdd,
  matmul,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  pad,
  quickGelu,
  reciprocal,
  reduceMax,
  reduceSum,
  reshape,
  scatterRows,
  sigmoid,
  sign,
  silu,
  sin,
  slice,
  softmax,
  sqrt,
  sub,
  sumSquares,
  tanh,
  transpose,
  upsampleNearest,
  where,
};

export type Ops = typeof ops;
export type OpName = keyof Ops;
