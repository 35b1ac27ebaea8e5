// Element types of tensors: what the graph computes in and what files hold.

export type DType = 'f32' | 'f16' | 'i64' | 'bool';

/** Element types a weight may have on disk. `bf16` is read and written but never computed in. */
export type StoredDType = DType | 'bf16' | 'f64' | 'i32' | 'u8';

export const isFloat = (dtype: StoredDType): boolean =>
  dtype === 'f32' || dtype === 'f16' || dtype === 'bf16' || dtype === 'f64';
