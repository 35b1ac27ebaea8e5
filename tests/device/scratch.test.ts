import { test } from 'vitest';
import { createBuilder } from '../../src-main/graph/builder.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { relativeError, runOn } from '../ops/run-graph.ts';
import { useSwiftShader } from './swiftshader.ts';
useSwiftShader();
const gpu = createOnnxRuntime({ device: 'webgpu' });
const cpu = createOnnxRuntime({ device: 'cpu', threads: 1 });
const size = (s: readonly number[]) => s.reduce((a, b) => a * b, 1);
async function check(label: string, build: (g: any) => any) {
  const g = createBuilder();
  const graph = g.graph({ y: build(g) });
  const feeds = new Map<string, ArrayLike<number>>();
  let k = 1;
  for (const n of graph.nodes) if (n.leaf && n.leaf.kind !== 'constant') { const s = k++; feeds.set(n.leaf.name, Float32Array.from({ length: size(n.shape) }, (_, i) => Math.sin(s * 12.9898 + i * 7.233))); }
  try {
    const a = await runOn(gpu, graph, feeds), b = await runOn(cpu, graph, feeds);
    const e = relativeError(a.get('y')!, b.get('y')!);
    if (!(e < 1e-4)) console.log('Q WRONG', label, e);
  } catch (e) { console.log('Q ERR', label, String((e as Error).message).slice(0, 300)); }
}

test('conv grads', async () => {
  for (const [C, O] of [[3, 8], [8, 3], [6, 8], [8, 6], [8, 9], [9, 8], [4, 8], [8, 4], [5, 7], [12, 16], [16, 16], [32, 8]] as const)
    for (const [k, s, pads] of [[3, 1, [1, 1, 1, 1]], [1, 1, [0, 0, 0, 0]], [3, 2, [1, 1, 1, 1]], [3, 2, [0, 0, 1, 1]]] as const)
      for (const [B, H, W] of [[1, 8, 8], [2, 4, 6], [2, 15, 9]] as const) {
        const oh = Math.floor((H + pads[0] + pads[2] - k) / s) + 1, ow = Math.floor((W + pads[1] + pads[3] - k) / s) + 1;
        const t = `C${C} O${O} k${k} s${s} ${pads} x${B},${H},${W}`;
        await check(`inputGrad ${t}`, (g) => g.conv2dInputGrad(g.input('dy', [B, O, oh, ow]), g.param('w', [O, C, k, k]), { stride: s, pads: [...pads], size: [H, W] }));
        await check(`weightGrad ${t}`, (g) => g.conv2dWeightGrad(g.input('x', [B, C, H, W]), g.input('dy', [B, O, oh, ow]), { stride: s, pads: [...pads], kernel: [k, k] }));
      }
}, 600000);
test('matmul', async () => {
  for (const m of [1, 3, 8, 33, 64, 100]) for (const k of [1, 3, 4, 9, 40, 64]) for (const n of [1, 3, 4, 8, 40, 77]) for (const [tA, tB] of [[0, 0], [0, 1], [1, 0], [1, 1]] as const) {
    if ((m * 31 + k * 17 + n * 7 + tA + tB) % 3) continue;
    const A = tA ? [k, m] : [m, k], B = tB ? [n, k] : [k, n];
    await check(`matmul ${m},${k},${n} ${tA}${tB}`, (g) => g.matmul(g.input('a', A), g.input('b', B), { transA: !!tA, transB: !!tB }));
    if ((m + k + n) % 2) await check(`batch matmul ${m},${k},${n} ${tA}${tB}`, (g) => g.matmul(g.input('a', [3, ...A]), g.input('b', [3, ...B]), { transA: !!tA, transB: !!tB }));
  }
}, 600000);
test('others', async () => {
  for (const [B, C, H, W, G] of [[1, 8, 4, 4, 4], [2, 32, 8, 8, 8], [2, 6, 5, 3, 2], [1, 64, 16, 16, 32], [2, 12, 33, 7, 4]] as const) {
    await check(`groupNorm ${[B, C, H, W, G]}`, (g) => g.groupNorm(g.input('x', [B, C, H, W]), g.param('a', [C]), g.param('b', [C]), { groups: G, eps: 1e-5 }));
    await check(`upsample ${[B, C, H, W]}`, (g) => g.upsampleNearest(g.input('x', [B, C, H, W]), { factor: 2 }));
    await check(`reduce ${[B, C, H, W]}`, (g) => g.reduceSum(g.input('x', [B, C, H, W]), { axes: [0, 2, 3], keep: false }));
    await check(`reduceAll ${[B, C, H, W]}`, (g) => g.reduceSum(g.input('x', [B, C, H, W]), { axes: [0, 1, 2, 3], keep: false }));
    await check(`sumSquares ${[B, C, H, W]}`, (g) => g.sumSquares(g.input('x', [C, H * W * B]), { axes: [1], keep: false }));
    await check(`sumSquares0 ${[B, C, H, W]}`, (g) => g.sumSquares(g.input('x', [C, H * W * B]), { axes: [0], keep: false }));
    await check(`meanKeep ${[B, C, H, W]}`, (g) => g.mean(g.input('x', [B, C, H * W]), { axes: [2], keep: true }));
    await check(`transpose ${[B, C, H, W]}`, (g) => g.transpose(g.input('x', [B, C, H, W]), { perm: [0, 2, 3, 1] }));
    await check(`transpose2 ${[B, C, H, W]}`, (g) => g.transpose(g.input('x', [B, C, H, W]), { perm: [1, 0, 2, 3] }));
    await check(`transpose3 ${[B, C, H, W]}`, (g) => g.transpose(g.input('x', [B, C, H, W]), { perm: [0, 2, 1, 3] }));
    await check(`concat ${[B, C, H, W]}`, (g) => g.concat([g.input('x', [B, C, H, W]), g.input('z', [B, 3, H, W])], { axis: 1 }));
    await check(`concat3 ${[B, C, H, W]}`, (g) => g.concat([g.input('x', [B, C, H]), g.input('z', [B, C, 1]), g.input('u', [B, C, W])], { axis: 2 }));
    await check(`mulBroadcast ${[B, C, H, W]}`, (g) => g.mul(g.input('x', [B, C, H, W]), g.input('z', [1, C, 1, 1])));
    await check(`mulBroadcast2 ${[B, C, H, W]}`, (g) => g.mul(g.input('x', [C, H * W]), g.input('z', [C, 1])));
    await check(`mulBroadcast3 ${[B, C, H, W]}`, (g) => g.mul(g.input('x', [B, H * W, C]), g.input('z', [C])));
    await check(`expand ${[B, C, H, W]}`, (g) => g.neg(g.expand(g.input('x', [B, C, 1]), { shape: [B, C, H * W] })));
    await check(`slice ${[B, C, H, W]}`, (g) => g.slice(g.input('x', [B, C, H, W]), { starts: [0, 1, 1, 0], sizes: [B, C - 2, H - 1, W] }));
    await check(`pad ${[B, C, H, W]}`, (g) => g.pad(g.input('x', [B, C, H, W]), { before: [0, 1, 0, 2], after: [0, 0, 3, 1] }));
  }
  for (const [B, T, D] of [[1, 1, 7], [2, 9, 64], [1, 64, 100], [2, 3, 257], [1, 5, 1024], [1, 2, 4096]] as const) {
    await check(`softmax ${[B, T, D]}`, (g) => g.softmax(g.input('x', [B, T, D])));
    await check(`layerNorm ${[B, T, D]}`, (g) => g.layerNorm(g.input('x', [B, T, D]), g.param('a', [D]), g.param('b', [D]), { eps: 1e-5 }));
    await check(`linear ${[B, T, D]}`, (g) => g.linear(g.input('x', [B, T, D]), g.param('w', [24, D]), g.param('b', [24])));
    if (D % 2 === 0) await check(`geglu ${[B, T, D]}`, (g) => g.geglu(g.input('x', [B, T, D])));
    await check(`gelu ${[B, T, D]}`, (g) => g.gelu(g.input('x', [B, T, D])));
    await check(`silu ${[B, T, D]}`, (g) => g.silu(g.input('x', [B, T, D])));
    await check(`quickGelu ${[B, T, D]}`, (g) => g.quickGelu(g.input('x', [B, T, D])));
  }
  for (const [B, T, S, H, D] of [[1, 16, 16, 2, 8], [2, 64, 7, 4, 10], [1, 33, 77, 8, 40], [1, 100, 100, 1, 16]] as const) {
    await check(`attention ${[B, T, S, H, D]}`, (g) => g.attention(g.input('q', [B, T, H * D]), g.input('k', [B, S, H * D]), g.input('v', [B, S, H * D]), { heads: H }));
    await check(`rowSplit ${[B, T, S, H, D]}`, (g) => g.matmul(g.input('x', [B * H, T, D]), g.param('w', [D, S]), {}));
  }
}, 600000);
