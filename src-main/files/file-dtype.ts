// Element types of safetensors files: all that the format knows, of which we compute with a few.
import type { StoredDType } from '../base/dtype.ts';

export type FileDType = StoredDType
  | 'i8' | 'i16' | 'u16' | 'u32' | 'u64' | 'c64' | 'f4' | 'f6_e2m3' | 'f6_e3m2'
  | 'f8_e5m2' | 'f8_e4m3' | 'f8_e8m0' | 'f8_e4m3fnuz' | 'f8_e5m2fnuz';

/**
 * Bits of one element. The order of the keys is the order of the reference implementation, which sorts the tensors
 * of a file by it, the last first, so that larger elements come before smaller ones and all stay aligned.
 */
const BITS: Readonly<Record<FileDType, number>> = {
  bool: 8, f4: 4, f6_e2m3: 6, f6_e3m2: 6, u8: 8, i8: 8, f8_e5m2: 8, f8_e4m3: 8, f8_e8m0: 8, f8_e4m3fnuz: 8,
  f8_e5m2fnuz: 8, i16: 16, u16: 16, f16: 16, bf16: 16, i32: 32, u32: 32, f32: 32, c64: 64, f64: 64, i64: 64, u64: 64,
};

const ORDER = new Map(Object.keys(BITS).map((name, index) => [name, index]));
const BY_FILE_NAME = new Map((Object.keys(BITS) as FileDType[]).map((dtype) => [dtype.toUpperCase(), dtype]));

export const bitsOf = (dtype: FileDType): number => BITS[dtype];
export const orderOf = (dtype: FileDType): number => ORDER.get(dtype)!;
/** The name in a file's header, `F8_E4M3` for 'f8_e4m3'. */
export const fileNameOf = (dtype: FileDType): string => dtype.toUpperCase();
export const dtypeOfFileName = (name: string): FileDType | undefined => BY_FILE_NAME.get(name);
