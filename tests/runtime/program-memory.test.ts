// What a compiled program keeps is walked through by the garbage collector in every step.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { createBuilder } from '../../src-main/graph/builder.ts';
import { createOnnxRuntime } from '../../src-main/runtime/onnx/onnx-runtime.ts';
import { f32, type Program } from '../../src-main/runtime/runtime.ts';

test('a compiled program keeps nothing of its graph, and still runs', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const runtime = createOnnxRuntime({ device: 'cpu', threads: 1 });
  const compiled = async (): Promise<{ program: Program; graph: WeakRef<object>; node: WeakRef<object> }> => {
    const g = createBuilder();
    const x = g.input('x', [2]);
    const graph = g.graph({ y: g.mul(g.add(x, 1), 3) });
    const program = await runtime.compile(graph, { weights: () => { throw new Error('there are no weights'); }, name: 'small' });
    return { program, graph: new WeakRef(graph), node: new WeakRef(graph.nodes.at(-1)!) };
  };
  const { program, graph, node } = await compiled();
  // Weak references hold until the turn of the event loop is over.
  await new Promise((done) => { setTimeout(done, 10); });
  collect();
  expect([graph.deref(), node.deref()]).toEqual([undefined, undefined]);

  const results = await program.run(new Map([['x', runtime.upload(f32(Float32Array.of(1, 2), [2]))]]));
  expect([...(await results.get('y')!.read()) as Float32Array]).toEqual([6, 9]);
  await program.dispose();
});
