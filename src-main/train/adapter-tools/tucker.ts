// Convolutions in Tucker form (LyCORIS `use_tucker`): down [r,I,1,1], middle [r,r,kh,kw], up [O,r,1,1].
import type { WeightFile } from '../../files/weight-file.ts';

/** down'[a,i,y,x] = Σ_b middle[a,b,y,x] · down[b,i]: the plain form [r,I,kh,kw] with the same up, exactly. */
export function foldMiddle(file: WeightFile, downKey: string, middleKey: string): Float32Array<ArrayBuffer> {
  const [rank = 0, inputs = 0] = file.tensors.get(downKey)!.shape;
  const [, , height = 1, width = 1] = file.tensors.get(middleKey)!.shape;
  const kernel = height * width;
  const down = file.readF32(downKey);
  const middle = file.readF32(middleKey);
  const folded = new Float32Array(rank * inputs * kernel);
  for (let a = 0; a < rank; a++) {
    for (let i = 0; i < inputs; i++) {
      for (let k = 0; k < kernel; k++) {
        let sum = 0;
        for (let b = 0; b < rank; b++) sum += middle[(a * rank + b) * kernel + k]! * down[b * inputs + i]!;
        folded[(a * inputs + i) * kernel + k] = sum;
      }
    }
  }
  return folded;
}
