// A model with the conventions of the WD14 family whose answers are values of single pixels.
import { modelBytes } from '../../src-main/runtime/onnx/model-proto.ts';

/** Of the square that it takes. */
export const SIDE = 8;
const bytesOf = (values: readonly number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
const longs = (values: readonly number[]): Uint8Array => new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);

/** Score i is `scale` x the input's value at row, column, colour i, as the model sees them. */
export function pickingTagger(spots: readonly (readonly [row: number, column: number, colour: number])[], { scale = 1 / 255, shape = [1, SIDE, SIDE, 3] }: { scale?: number; shape?: readonly number[] } = {}): Uint8Array {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const weight = new Float32Array(size * spots.length);
  for (const [i, [row, column, colour]] of spots.entries()) weight[((row * SIDE + column) * 3 + colour) * spots.length + i] = scale;
  return modelBytes({
    name: 'tagger',
    nodes: [
      { opType: 'Reshape', domain: '', inputs: ['picture', 'flat'], outputs: ['row'], attrs: {} },
      { opType: 'MatMul', domain: '', inputs: ['row', 'weight'], outputs: ['scores'], attrs: {} },
    ],
    initializers: [
      { name: 'flat', dtype: 'i64', shape: [2], bytes: longs([1, size]) },
      { name: 'weight', dtype: 'f32', shape: [size, spots.length], bytes: bytesOf([...weight]) },
    ],
    inputs: [{ name: 'picture', dtype: 'f32', shape }],
    outputs: [{ name: 'scores', dtype: 'f32', shape: [1, spots.length] }],
  });
}

/** Its selected_tags.csv. */
export const tagList = (rows: readonly (readonly [name: string, category: number])[]): string =>
  `tag_id,name,category,count\n${rows.map(([name, category], id) => `${id},${name.includes(',') ? `"${name}"` : name},${category},1`).join('\n')}\n`;
