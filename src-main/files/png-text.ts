// Texts inside PNG files (https://www.w3.org/TR/png-3/#11textinfo), where image tools keep prompts and settings.
import { crc32, inflateSync } from 'node:zlib';
import { assert, UserError } from '../base/errors.ts';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** A small compressed text can inflate to gigabytes. */
const MAX_TEXT = 16 * 1024 * 1024;

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
  readonly start: number;
}

function* chunksOf(png: Uint8Array): Generator<Chunk> {
  const bytes = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  if (!bytes.subarray(0, 8).equals(SIGNATURE)) throw damaged('is not a PNG file');
  for (let start = 8; start < bytes.length;) {
    const length = start + 12 <= bytes.length ? bytes.readUInt32BE(start) : Infinity;
    if (start + 12 + length > bytes.length) throw damaged('is cut short');
    const data = bytes.subarray(start + 8, start + 8 + length);
    if (crc32(bytes.subarray(start + 4, start + 8 + length)) !== bytes.readUInt32BE(start + 8 + length)) {
      throw damaged('is damaged');
    }
    const type = bytes.toString('latin1', start + 4, start + 8);
    yield { type, data, start };
    if (type === 'IEND') return;
    start += 12 + length;
  }
  throw damaged('is cut short');
}

const damaged = (problem: string): UserError =>
  new UserError('images.png-damaged', `The picture ${problem}: export or download it again.`);

function makeChunk(type: string, data: Buffer): Buffer {
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, 'latin1');
  data.copy(chunk, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return chunk;
}

function textChunk(keyword: string, text: string): Buffer {
  assert(/^[\x21-\x7e](?:[\x20-\x7e]{0,77}[\x21-\x7e])?$/.test(keyword), `"${keyword}" is no PNG keyword`);
  assert(!text.includes('\0'), 'a text for a PNG contains a zero character');
  // What every reader understands where it suffices: tEXt holds Latin-1 (printable and line feed), iTXt UTF-8.
  if (/^[\n\x20-\x7e\xa1-\xff]*$/.test(text)) return makeChunk('tEXt', Buffer.from(`${keyword}\0${text}`, 'latin1'));
  return makeChunk('iTXt', Buffer.concat([Buffer.from(`${keyword}\0\0\0\0\0`, 'latin1'), Buffer.from(text)]));
}

/** A copy of the PNG with these texts (keyword of 1-79 printable ASCII characters to text) before its pixels. */
export function insertPngText(png: Uint8Array, texts: Readonly<Record<string, string>>): Buffer {
  let firstData: number | undefined;
  for (const chunk of chunksOf(png)) if (chunk.type === 'IDAT') firstData ??= chunk.start;
  if (firstData === undefined) throw damaged('holds no pixels');
  const added = Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text));
  return Buffer.concat([png.subarray(0, firstData), ...added, png.subarray(firstData)]);
}

/** All texts of a PNG; of a repeated keyword the first counts. Texts that cannot be decoded are left out. */
export function readPngText(png: Uint8Array): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { type, data } of chunksOf(png)) {
    const split = data.indexOf(0);
    if (split < 1 || (type !== 'tEXt' && type !== 'zTXt' && type !== 'iTXt')) continue;
    const keyword = data.toString('latin1', 0, split);
    const text = decodeText(type, data.subarray(split + 1));
    if (text !== undefined && !texts.has(keyword)) texts.set(keyword, text);
  }
  return texts;
}

function decodeText(type: string, rest: Buffer): string | undefined {
  if (type === 'tEXt') return rest.toString('latin1');
  if (type === 'zTXt') return rest[0] === 0 ? inflate(rest.subarray(1))?.toString('latin1') : undefined;
  const languageEnd = rest.indexOf(0, 2);
  const translatedEnd = languageEnd < 0 ? -1 : rest.indexOf(0, languageEnd + 1);
  if (translatedEnd < 0) return undefined;
  const text = rest.subarray(translatedEnd + 1);
  return (rest[0] === 1 ? inflate(text) : text)?.toString('utf8');
}

function inflate(bytes: Buffer): Buffer | undefined {
  try {
    return inflateSync(bytes, { maxOutputLength: MAX_TEXT });
  } catch {
    return undefined;
  }
}
