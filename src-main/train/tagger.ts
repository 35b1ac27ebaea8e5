// Tags of pictures by a model of the WD14 family: a picture [1,H,W,3] in BGR order, 0-255, padded to a square with
// white; probabilities [1,N] in the order of selected_tags.csv (columns tag_id, name, category, count).
import { readFileSync } from 'node:fs';
import { UserError } from '../base/errors.ts';
import { cropPixels } from '../dataset/crop.ts';
import { readError } from '../files/file-errors.ts';
import { decodeImage, type Pixels } from '../files/images.ts';
import { openRunnableModel } from '../runtime/onnx/run-model.ts';

export interface TagSettings {
  readonly model: string;
  readonly csv: string;
  readonly pictures: readonly string[];
  readonly threshold: number;
  readonly characterThreshold: number;
  /** Keep the underscores of the tags' names; spaces otherwise. */
  readonly underscores: boolean;
}

interface Tag {
  readonly name: string;
  readonly category: number;
}

const GENERAL = 0;
const CHARACTER = 4;
const SIDE = 448;
/** Faces made of signs keep their underscores: at most one letter or digit, in signs, on each side. */
const EMOTICON = /^[^a-z0-9_]*[a-z0-9]?[^a-z0-9_]*_[^a-z0-9_]*[a-z0-9]?[^a-z0-9_]*$/i;

/** Errors: `tagger.*`, `files.*`. A picture that cannot be read has null. */
export async function tagPictures(settings: TagSettings, context: { readonly onProgress: (done: number, total: number) => void; readonly shouldStop: () => boolean }): Promise<(string[] | null)[]> {
  const tags = readTags(settings.csv);
  const model = await openRunnableModel(settings.model);
  const found: (string[] | null)[] = [];
  try {
    const side = sideOf(model.shape, settings.model);
    for (const [index, path] of settings.pictures.entries()) {
      if (context.shouldStop()) throw new UserError('tagger.stopped', 'Tagging was stopped; no caption was changed.');
      context.onProgress(index, settings.pictures.length);
      let picture: Pixels;
      try {
        picture = await decodeImage(path, { background: [255, 255, 255] });
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        found.push(null);
        continue;
      }
      const scores = await model.run(await inputOf(picture, side), [1, side, side, 3]);
      if (scores.length !== tags.length) {
        throw new UserError('tagger.csv', `The model knows ${scores.length} tags and "${settings.csv}" lists ${tags.length}: choose the selected_tags.csv that came with the model.`, { scores: scores.length, tags: tags.length });
      }
      if (scores.some((score) => !(score >= -1e-3 && score <= 1.001))) {
        throw new UserError('tagger.scores', `"${settings.model}" answers with numbers that are no probabilities: choose a tagger of the WD14 family (wd-..-tagger), whose answers lie between 0 and 1.`, { model: settings.model });
      }
      found.push(chosenTags(tags, scores, settings));
    }
    context.onProgress(settings.pictures.length, settings.pictures.length);
    return found;
  } finally {
    await model.dispose();
  }
}

/** Rows first and colours last, as the family has it. Error: `tagger.inputs`. */
function sideOf(shape: readonly (number | null)[], model: string): number {
  const [, height = null, width = null, colours = null] = shape;
  if (shape.length !== 4 || (colours ?? 3) !== 3 || (height !== null && width !== null && height !== width)) {
    throw new UserError('tagger.inputs', `"${model}" takes pictures of the shape ${shape.map((extent) => extent ?? '?').join(' x ')} and not 1 x side x side x 3: choose a tagger of the WD14 family.`, { shape: [...shape] });
  }
  return height ?? width ?? SIDE;
}

/** Characters first, then by probability. */
export function chosenTags(tags: readonly Tag[], scores: Float32Array, { threshold, characterThreshold, underscores }: Pick<TagSettings, 'threshold' | 'characterThreshold' | 'underscores'>): string[] {
  const passed = tags.flatMap(({ name, category }, i) => {
    const least = category === GENERAL ? threshold : category === CHARACTER ? characterThreshold : Infinity;
    return scores[i]! >= least ? [{ name, category, score: scores[i]! }] : [];
  });
  passed.sort((a, b) => b.category - a.category || b.score - a.score);
  return passed.map(({ name }) => (underscores || EMOTICON.test(name) ? name : name.replaceAll('_', ' ')));
}

/** Errors: `tagger.csv`, `files.*`. */
export function readTags(path: string): Tag[] {
  const [head = '', ...lines] = readText(path).replace(/^\uFEFF/, '').split(/\r?\n/).filter((line) => line.trim() !== '');
  const columns = fieldsOf(head);
  const nameAt = columns.indexOf('name');
  const categoryAt = columns.indexOf('category');
  if (nameAt < 0 || categoryAt < 0) {
    throw new UserError('tagger.csv', `"${path}" is no list of tags: it needs the columns name and category. Choose the tagger's selected_tags.csv.`, { path });
  }
  return lines.map((line) => {
    const values = fieldsOf(line);
    return { name: values[nameAt] ?? '', category: Number(values[categoryAt]) };
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw readError(error, path);
  }
}

/** Fields of a CSV line; quotes may hold commas. */
const fieldsOf = (line: string): string[] =>
  [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare ?? '');

async function inputOf(picture: Pixels, side: number): Promise<Float32Array> {
  const square = padded(picture);
  const whole = { width: side, height: side };
  const { data } = await cropPixels(square, { resized: whole, left: 0, top: 0, target: whole, flip: false });
  const input = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    input[i] = data[i + 2]!;
    input[i + 1] = data[i + 1]!;
    input[i + 2] = data[i]!;
  }
  return input;
}

function padded({ width, height, data }: Pixels): Pixels {
  const side = Math.max(width, height);
  const left = Math.floor((side - width) / 2);
  const top = Math.floor((side - height) / 2);
  const square = new Uint8Array(side * side * 3).fill(255);
  for (let y = 0; y < height; y++) square.set(data.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * side + left) * 3);
  return { width: side, height: side, channels: 3, data: square };
}
