// LoRA (Hu et al. 2021, arXiv 2106.09685): a low-rank change of a frozen weight.
import { defineFields } from '../../contract/fields.ts';
import { bareLayer, denseSum, DOWN, lowRankBranch, lowRankLayer, lowRankScale, lowRankShapes, UP, withBias } from '../../nn/low-rank.ts';
import type { Adapter } from '../define/adapter.ts';

const fields = defineFields({
  rank: { kind: 'number', label: 'Rank', help: 'Width of the change: more can learn more, costs memory and file size.', why: '8 to 32 for a style; a higher one learns single pictures sooner.', default: 16, min: 1, max: 1024, integer: true },
  alpha: { kind: 'number', label: 'Alpha', help: 'Strength of the change is alpha / rank. Equal to the rank keeps it at 1.', why: 'A recipe is only right with its alpha: what counts is learning rate × alpha / rank.', default: 16, min: 0.001, max: 4096 },
  rsLora: { kind: 'flag', label: 'Rank-stabilised', help: 'Strength is alpha / √rank, so that high ranks learn as fast as low ones.', why: 'On for ranks of 64 and more, which otherwise learn slowly; a recipe that was made without it wants it off.', default: false },
  dropout: { kind: 'number', label: 'Dropout', help: 'Share of the branch’s inputs that are left out in each step.', why: '0.05 to 0.1 against learning single pictures of a small set.', default: 0, min: 0, max: 0.9 },
});

export const lora: Adapter<typeof fields> = {
  label: 'LoRA',
  help: 'The best-known kind; every program reads it.',
  fields,
  parameters: ({ shape }, { rank }) => {
    const { down, up } = lowRankShapes(shape, rank);
    return [
      { name: DOWN, shape: down, initial: 'kaiming' },
      { name: UP, shape: up, initial: 'zero' },
    ];
  },
  apply: (g, layer, p, settings, dropout) => {
    if (layer.kind === 'linear' && !dropout) return lowRankLayer(g, layer, p[DOWN]!, p[UP]!, lowRankScale(settings), null);
    const x = dropout ? g.mul(layer.x, dropout) : layer.x;
    const change = lowRankBranch(g, layer, x, p[DOWN]!, p[UP]!, lowRankScale(settings));
    return withBias(g, layer, g.add(bareLayer(g, layer, layer.x), change));
  },
  merge: (g, weight, p, settings) => denseSum(g, weight, p[DOWN]!, p[UP]!, lowRankScale(settings)),
  rowSums: () => null,
};
