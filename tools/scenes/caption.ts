import { randomOf } from './random.ts';
import { colours, habits, kinds } from './scene.ts';
import type { Backdrop, Ground, Place, Scene, Sky, SkyItem, Thing } from './scene.ts';

const groundPhrases: Readonly<Record<Ground, { on: string; over: string }>> = {
  meadow: { on: 'on a green meadow', over: 'over a green meadow' },
  desert: { on: 'in the desert', over: 'over the desert' },
  snow: { on: 'in the snow', over: 'over the snow' },
  sea: { on: 'on the blue sea', over: 'over the blue sea' },
  beach: { on: 'on the beach', over: 'over the beach' },
  road: { on: 'on a grey road', over: 'over a grey road' },
};

const backdropPhrases: Readonly<Record<Backdrop, string>> = {
  none: '',
  mountains: 'mountains behind',
  hills: 'hills behind',
  forest: 'a forest behind',
  city: 'a city behind',
};

const skyPhrases: Readonly<Record<Sky, string>> = {
  day: 'under a blue sky',
  sunset: 'at sunset',
  night: 'at night',
  grey: 'under a grey sky',
  rain: 'in the rain',
  snowfall: 'in falling snow',
};

const itemPhrases: Readonly<Record<SkyItem, string>> = {
  none: '',
  sun: 'with a sun',
  clouds: 'with white clouds',
  rainbow: 'with a rainbow',
  moon: 'with a moon',
};

const placePhrases: Readonly<Record<Place, string>> = {
  left: 'on the left',
  middle: 'in the middle',
  right: 'on the right',
};

/** The only punctuation mark of a caption. */
export const punctuation: readonly string[] = [','];

/** Every word that a caption can hold, sorted. Computed from the grammar, so it cannot fall behind it. */
export const vocabulary: string[] = [
  ...new Set(
    [
      ...Object.values(groundPhrases).flatMap(({ on, over }) => [on, over]),
      ...[backdropPhrases, skyPhrases, itemPhrases, placePhrases].flatMap((phrases) => Object.values(phrases)),
      ...colours,
      ...kinds,
      'a an and small',
    ].flatMap(wordsOf),
  ),
].sort();

/** The words of a caption, without its punctuation. */
export function wordsOf(caption: string): string[] {
  return caption.split(/[\s,]+/).filter((word) => word !== '');
}

function nameOf(thing: Thing, size: 'small' | ''): string {
  const words = [size, thing.colour, thing.kind].filter((word) => word !== '');
  return `${/^[aeiou]/.test(words[0] ?? '') ? 'an' : 'a'} ${words.join(' ')}`;
}

function join(separator: string, ...phrases: readonly string[]): string {
  return phrases.filter((phrase) => phrase !== '').join(separator);
}

/** How a caption is worded: `natural` varies order and completeness, `full` names everything in one fixed order. */
export type CaptionForm = 'natural' | 'full';

/** A lower-case caption of what the scene shows; the same scene always gets the same words. */
export function captionOf(scene: Scene, form: CaptionForm = 'natural'): string {
  const random = randomOf(scene.wording);
  const { subject, extra } = scene;
  const name = nameOf(subject, '');
  const ground = groundPhrases[scene.ground][habits[subject.kind].flies ? 'over' : 'on'];
  const sky = join(' ', skyPhrases[scene.sky], itemPhrases[scene.skyItem]);
  const behind = backdropPhrases[scene.backdrop];
  const second = extra === null ? '' : `${nameOf(extra, 'small')} ${placePhrases[extra.place]}`;
  const place = placePhrases[subject.place];
  if (form === 'full') return join(', ', `${name} ${place} ${ground} ${sky}`, behind, second);

  // A subject in the middle is the usual case and often goes without saying.
  const said = subject.place === 'middle' && random.chance(0.5) ? '' : place;
  const draw = random.unit();
  if (draw < 0.4) return join(', ', join(' ', name, said, ground, sky), behind, second);
  if (draw < 0.6) return join(', ', sky, join(' ', name, ground, said), second, behind);
  if (draw < 0.8) return join(', ', join(' ', ground, sky), join(' and ', join(' ', name, said), second), behind);
  if (draw < 0.88) return join(' ', name, ground, said);
  if (draw < 0.96) return join(' ', name, said, sky);
  return name;
}
