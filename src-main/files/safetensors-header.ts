// The header of a safetensors file: 8 bytes of length N (little endian), N bytes of JSON, then the data.
// https://github.com/huggingface/safetensors; the order of the checks is that of the reference reader.
import { UserError } from '../base/errors.ts';
import { bitsOf, dtypeOfFileName } from './file-dtype.ts';
import { integerOf, isArray, isObject, JsonFault, parseStrictJson } from './strict-json.ts';
import type { JsonValue } from './strict-json.ts';
import type { TensorInfo } from './weight-file.ts';

/** The reference reader's limit, in decimal megabytes. */
export const MAX_HEADER_BYTES = 100_000_000;
export const MAX_TENSORS = 100_000;

export interface HeaderLimits {
  readonly maxHeaderBytes?: number;
  readonly maxTensors?: number;
}

/** For adapters, whose headers are small: anything larger is hostile or broken. */
export const ADAPTER_LIMITS: HeaderLimits = { maxHeaderBytes: 16 * 1024 * 1024, maxTensors: 100_000 };

export interface Header {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  /** Where the data section begins in the file. */
  readonly dataStart: number;
}

const AGAIN = 'download or copy it again';
const DAMAGED = `the file is damaged: ${AGAIN}`;

const refuse = (code: string, path: string, problem: string, data: Record<string, unknown> = {}): UserError =>
  new UserError(`safetensors.${code}`, `"${path}" ${problem}.`, { path, ...data });

/** Untrusted text for a message: short and on one line. */
export const shown = (text: string): string => {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
  return line.length > 120 ? `${line.slice(0, 117)}...` : line;
};

/**
 * Reads and checks the header. `readAt(offset, length)` gives bytes of a file of `size` bytes; only the header is
 * asked for. Errors: one `safetensors.*` code per check, `files.*` for files of other kinds.
 */
export function readHeader(
  path: string, size: number, readAt: (offset: number, length: number) => Uint8Array, limits: HeaderLimits = {},
): Header {
  const { maxHeaderBytes = MAX_HEADER_BYTES, maxTensors = MAX_TENSORS } = limits;
  const start = readAt(0, Math.min(size, 64));
  const length = size < 8 ? 0 : Number(new DataView(start.buffer, start.byteOffset).getBigUint64(0, true));
  const looksRight = size >= 10 && length >= 2 && length <= size - 8 && length <= MAX_HEADER_BYTES &&
    /^[{ \t\r\n]/.test(String.fromCharCode(start[8]!));
  if (!looksRight) refuseOtherKinds(path, start);
  if (size < 8) {
    throw refuse('too-short', path, size === 0 ? `is empty: ${AGAIN}` :
      `has only ${size} bytes, too few for a safetensors file: ${AGAIN}`, { size });
  }
  if (length > Math.min(maxHeaderBytes, MAX_HEADER_BYTES)) {
    throw refuse('header-too-large', path, `announces a header of ${length} bytes, more than a file of this kind ` +
      `may have: it is damaged or no safetensors file, ${AGAIN}`, { length });
  }
  if (length > size - 8) {
    throw refuse('header-beyond-end', path, `ends inside its header (${size} bytes, ${length + 8} are needed), so ` +
      `the download was cut short: ${AGAIN}`, { size, length });
  }
  const text = decodeUtf8(path, readAt(8, length));
  const { tensors, metadata } = parseEntries(path, text, maxTensors);
  checkLayout(path, tensors, size - 8 - length);
  return { tensors, metadata, dataStart: 8 + length };
}

function decodeUtf8(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refuse('header-not-utf8', path, `has a header that is not UTF-8 text: ${DAMAGED}`);
  }
}

function parseEntries(path: string, text: string, maxTensors: number) {
  let json: JsonValue;
  try {
    json = parseStrictJson(text);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    if (error.duplicate !== undefined) {
      throw refuse('duplicate-key', path, `names "${shown(error.duplicate)}" twice in its header, so what it means ` +
        'is ambiguous: do not use it, and get the file from another source', { key: error.duplicate });
    }
    throw refuse('header-invalid', path, `has a header that is not JSON (${shown(error.message)}): ${DAMAGED}`);
  }
  if (!isObject(json)) throw refuse('header-invalid', path, `has a header that is not a JSON object: ${DAMAGED}`);
  const tensors = new Map<string, TensorInfo>();
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const [name, value] of json) {
    if (name === '__metadata__') metadata = parseMetadata(path, value);
    else tensors.set(name, parseTensor(path, name, value));
  }
  if (tensors.size > maxTensors) {
    throw refuse('too-many-tensors', path, `lists ${tensors.size} tensors, more than the ${maxTensors} that a model ` +
      'may have: get the file from another source', { count: tensors.size });
  }
  return { tensors, metadata };
}

function parseMetadata(path: string, value: JsonValue): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  // The reference reader takes null for "none".
  if (value === null) return metadata;
  if (!isObject(value)) throw refuse('metadata', path, `has metadata that are not a JSON object: ${DAMAGED}`);
  for (const [key, text] of value) {
    if (typeof text !== 'string') {
      throw refuse('metadata', path, `has metadata "${shown(key)}" that are not a text: save it again with the tool ` +
        'that made it', { key });
    }
    metadata.set(key, text);
  }
  return metadata;
}

function parseTensor(path: string, name: string, value: JsonValue): TensorInfo {
  const where = `tensor "${shown(name)}"`;
  const data = { tensor: name };
  if (!isObject(value)) throw refuse('header-invalid', path, `describes ${where} wrongly: ${DAMAGED}`, data);
  const dtypeName = value.get('dtype');
  const shapeList = value.get('shape');
  const offsets = value.get('data_offsets');
  if (typeof dtypeName !== 'string' || !isArray(shapeList) || !isArray(offsets) || offsets.length !== 2) {
    throw refuse('header-invalid', path, `lacks the type, shape or place of ${where}: ${DAMAGED}`, data);
  }
  const dtype = dtypeOfFileName(dtypeName);
  if (dtype === undefined) {
    throw refuse('unknown-dtype', path, `stores ${where} in the unknown number format "${shown(dtypeName)}": choose a ` +
      'version of it in F16, BF16 or F32', { ...data, dtype: dtypeName });
  }
  const [begin, end, ...shape] = [...offsets, ...shapeList].map((item) => {
    const integer = integerOf(item);
    if (integer === undefined) {
      throw refuse('number', path, `describes ${where} with a number that is not a whole number in range: ${DAMAGED}`,
        data);
    }
    return integer;
  });
  return { dtype, shape, begin: begin!, end: end! };
}

function checkLayout(path: string, tensors: ReadonlyMap<string, TensorInfo>, dataLength: number): void {
  const inOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let previousEnd = 0;
  for (const [name, { dtype, shape, begin, end }] of inOrder) {
    const where = `tensor "${shown(name)}"`;
    const data = { tensor: name };
    if (begin !== previousEnd || end < begin) {
      throw refuse('offsets', path, `places ${where} so that data overlap or are left out: the file is damaged or ` +
        'was made to mislead, get it from another source', data);
    }
    previousEnd = end;
    let bits = bitsOf(dtype);
    let count = 1;
    for (const extent of shape) count *= Number.isSafeInteger(count) ? extent : NaN;
    bits *= count;
    if (!Number.isSafeInteger(count) || !Number.isSafeInteger(bits)) {
      throw refuse('overflow', path, `gives ${where} an impossible size [${shown(shape.join(','))}]: ${DAMAGED}`, data);
    }
    if (bits % 8 !== 0) {
      throw refuse('misaligned', path, `ends ${where} inside a byte: ${DAMAGED}`, data);
    }
    if (end - begin !== bits / 8) {
      throw refuse('tensor-size', path, `holds ${end - begin} bytes for ${where}, whose shape needs ${bits / 8}: ` +
        DAMAGED, data);
    }
  }
  if (previousEnd > dataLength) {
    throw refuse('truncated', path, `is cut short: ${previousEnd - dataLength} bytes are missing at its end, ${AGAIN}`,
      { missing: previousEnd - dataLength });
  }
  if (previousEnd < dataLength) {
    throw refuse('trailing-bytes', path, `has ${dataLength - previousEnd} bytes after its last tensor, which a ` +
      'proper file never has: get it from another source', { extra: dataLength - previousEnd });
  }
}

/** Names other kinds of files that people try, by content, since names do not prove anything. */
function refuseOtherKinds(path: string, start: Uint8Array): void {
  const text = Buffer.from(start).toString('latin1');
  const asSafetensors = 'get the model as .safetensors';
  if (text.startsWith('PK\x03\x04') || /^\x80[\x02-\x05]/.test(text)) {
    throw new UserError('files.pickle', `"${path}" is a pickled PyTorch file (.ckpt, .pt, .bin), which can run hidden ` +
      `programs when it is opened: ${asSafetensors}.`, { path });
  }
  if (text.startsWith('GGUF') || text.startsWith('GGML') || text.startsWith('ggjt')) {
    throw new UserError('files.gguf', `"${path}" is a GGUF file, whose weights are quantised and cannot be trained ` +
      `on: ${asSafetensors} in F16, BF16 or F32.`, { path });
  }
  if (text.startsWith('version https://git-lfs')) {
    throw new UserError('files.git-lfs', `"${path}" is only a Git LFS pointer to the model, not the model: fetch it ` +
      'with "git lfs pull" or download the file itself.', { path });
  }
  if (/^\s*<(?:!doctype|html|\?xml)/i.test(text)) {
    throw new UserError('files.web-page', `"${path}" is a web page and not a model, so the download went wrong (often ` +
      'because it needs a login): download it again in the browser.', { path });
  }
}
