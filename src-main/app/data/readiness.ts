// Whether a set of pictures is ready to be trained on, and what to look at before.

import { basename } from 'node:path';

import type { ItemFlag, Output } from '../../contract/api.ts';
import { say } from '../../contract/text.ts';
import { nearestBucket } from '../../dataset/buckets.ts';
import { countOf } from '../../dataset/names.ts';
import type { Size } from '../../dataset/types.ts';
import type { Ids } from '../ids.ts';
import { flagsOf, isIncluded, problemOf, repeatsOf, type ProjectData } from './project-data.ts';

type Readiness = Output<'data.readiness'>;
type Verdict = Readiness['verdicts'][number];

const ADVICE: readonly { readonly flag: ItemFlag; readonly level: Verdict['level']; readonly one: string; readonly many: string; readonly what: string }[] = [
  { flag: 'unreadable', level: 'warning', one: 'picture cannot be read', many: 'pictures cannot be read', what: 'Left out; a click on it says why.' },
  { flag: 'duplicate-exact', level: 'warning', one: 'picture has an exact double', many: 'pictures have exact doubles', what: 'Doubles count more than others: leave all but one out.' },
  { flag: 'duplicate-near', level: 'warning', one: 'picture is nearly the same as another', many: 'pictures are nearly the same as others', what: 'Keep the best of each group.' },
  { flag: 'too-small', level: 'warning', one: 'picture is smaller than the training size', many: 'pictures are smaller than the training size', what: 'Enlarging blurs; use larger ones or a lower resolution.' },
  { flag: 'blurred', level: 'warning', one: 'picture looks blurred', many: 'pictures look blurred', what: 'The style learns the blur too.' },
  { flag: 'over-exposed', level: 'warning', one: 'picture has large white areas', many: 'pictures have large white areas', what: 'Fine if that is the style.' },
  { flag: 'under-exposed', level: 'warning', one: 'picture has large black areas', many: 'pictures have large black areas', what: 'Fine if that is the style.' },
  { flag: 'border', level: 'warning', one: 'picture has plain bars at its edges', many: 'pictures have plain bars at their edges', what: 'Bars are learnt: cut them off.' },
  { flag: 'watermark-suspect', level: 'warning', one: 'picture may have a signature or watermark', many: 'pictures may have signatures or watermarks', what: 'Look at the corners: such marks are learnt.' },
  { flag: 'no-caption', level: 'warning', one: 'picture has no caption', many: 'pictures have no caption', what: 'Describe what is not the style, so that the style is what is left.' },
];

const FEW = 8;

export function readiness(data: ProjectData, sizes: readonly Size[] | null, ids: Ids): Readiness {
  const included = data.pictures.filter(isIncluded);
  const learnt = included.filter(({ regularization }) => !regularization);
  const verdicts: Verdict[] = data.problems.map((problem) => ({ level: 'bad', ...problem, count: 0, filter: null }));
  if (learnt.length === 0) verdicts.push({ level: 'bad', ...say('readiness.nothing', 'There is no picture to train on: add a folder or drop pictures here.'), count: 0, filter: null });
  else if (learnt.length < FEW) verdicts.push({ level: 'warning', ...say('readiness.few', `${countOf(learnt.length, 'picture')} only: 15 to 50 that show the style in different things work best.`, { count: learnt.length }), count: learnt.length, filter: null });
  if (!data.isScanned) verdicts.push({ level: 'warning', ...say('readiness.not-scanned', 'Some pictures have not been looked at yet.'), count: data.pictures.filter(({ facts, problem }) => !facts && problem === null).length, filter: null });
  const counts = new Map<ItemFlag, number>();
  for (const picture of data.pictures) {
    if (!isIncluded(picture) && problemOf(picture) === null) continue;
    const target = picture.facts && sizes ? sizes[nearestBucket(picture.facts, sizes)]! : null;
    for (const flag of flagsOf(picture, target)) counts.set(flag, (counts.get(flag) ?? 0) + 1);
  }
  for (const { flag, level, one, many, what } of ADVICE) {
    const count = counts.get(flag) ?? 0;
    if (count > 0) verdicts.push({ level, ...say(`readiness.${flag}`, `${count} ${count === 1 ? one : many}. ${what}`, { count }), count, filter: flag === 'unreadable' ? { flags: [flag] } : { flags: [flag], included: true } });
  }
  verdicts.push(...data.notes.map((note) => ({ level: 'warning' as const, ...note, count: 0, filter: null })));
  if (sizes === null && learnt.length > 0) verdicts.push({ level: 'warning', ...say('readiness.no-sizes', 'Choose a model on Train: it decides at which sizes pictures are trained and how they are cut.'), count: 0, filter: null });
  const isBad = verdicts.some(({ level }) => level === 'bad');
  if (verdicts.length === 0) verdicts.push({ level: 'good', ...say('readiness.good', 'Nothing to complain about.'), count: learnt.length, filter: null });
  const notes = verdicts.filter(({ level }) => level === 'warning').length;
  const verdict = isBad ? say('readiness.not-ready', 'Not ready yet.') : notes === 0 ? say('readiness.ready', 'Ready to train.')
    : say('readiness.ready-with-notes', `Ready to train, with ${countOf(notes, 'thing')} to look at.`, { count: notes });
  return {
    ready: !isBad, ...verdict, pictures: data.pictures.length, included: included.length, verdicts,
    buckets: bucketsOf(included, sizes), folders: foldersOf(data, ids),
  };
}

function bucketsOf(pictures: ProjectData['pictures'], sizes: readonly Size[] | null): Readiness['buckets'] {
  if (sizes === null) return [];
  const found = sizes.map(({ width, height }) => ({ width, height, pictures: 0, draws: 0 }));
  for (const picture of pictures) {
    if (!picture.facts) continue;
    const bucket = found[nearestBucket(picture.facts, sizes)]!;
    bucket.pictures++;
    bucket.draws += repeatsOf(picture);
  }
  return found.filter((bucket) => bucket.pictures > 0);
}

function foldersOf(data: ProjectData, ids: Ids): Readiness['folders'] {
  const found = new Map<string, Readiness['folders'][number]>();
  for (const picture of data.pictures.filter(isIncluded)) {
    const { dataFolder } = picture;
    const folder = found.get(dataFolder) ?? { id: ids.of(dataFolder), name: basename(dataFolder), pictures: 0, draws: 0 };
    found.set(dataFolder, { ...folder, pictures: folder.pictures + 1, draws: folder.draws + repeatsOf(picture) });
  }
  return [...found.values()];
}
