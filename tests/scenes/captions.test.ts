import { describe, expect, test } from 'vitest';
import { captionOf, punctuation, vocabulary, wordsOf } from '../../tools/scenes/caption.ts';
import { backdrops, colours, habits, kinds, sampleScene } from '../../tools/scenes/scene.ts';
import { styleNames } from '../../tools/scenes/styles/index.ts';

const scenes = Array.from({ length: 2000 }, (_, i) => sampleScene(11, i));

describe('captions', () => {
  test('use only words of the vocabulary, and in the long run all of them', () => {
    const used = new Set(scenes.flatMap((scene) => [captionOf(scene), captionOf(scene, 'full')]).flatMap(wordsOf));
    expect([...used].sort()).toEqual(vocabulary);
    expect(vocabulary.length).toBeLessThanOrEqual(150);
  });

  test('are lower-case words, single spaces and commas, short enough for a small text encoder', () => {
    for (const scene of scenes) {
      const caption = captionOf(scene);
      expect(caption).toMatch(/^[a-z]+(?:,? [a-z]+)*$/);
      expect(wordsOf(caption).length + caption.split(punctuation[0] ?? ',').length - 1).toBeLessThanOrEqual(38);
    }
  });

  test('never name a style', () => {
    const styleWords = styleNames.flatMap((name) => name.split('-')).filter((word) => word !== 'plain');
    expect(styleWords.filter((word) => vocabulary.includes(word))).toEqual([]);
    expect(styleWords.length).toBeGreaterThan(3);
  });

  test('always name the subject, first of all things', () => {
    for (const scene of scenes) {
      const words = wordsOf(captionOf(scene));
      const first = words.find((word) => (kinds as readonly string[]).includes(word));
      expect(first).toBe(scene.subject.kind);
      expect(words[words.indexOf(scene.subject.kind) - 1]).toBe(scene.subject.colour);
    }
  });

  test('in their full form say everything that the scene fixes', () => {
    const skyWord = { day: 'blue sky', sunset: 'sunset', night: 'night', grey: 'grey sky', rain: 'rain', snowfall: 'falling' };
    const itemWord = { none: '', sun: 'a sun', clouds: 'white clouds', rainbow: 'a rainbow', moon: 'a moon' };
    for (const scene of scenes) {
      const full = captionOf(scene, 'full');
      expect(full).toContain(`${scene.subject.colour} ${scene.subject.kind}`);
      expect(full).toContain(scene.subject.place);
      expect(full).toContain(skyWord[scene.sky]);
      expect(full).toContain(itemWord[scene.skyItem]);
      expect(full).toContain(scene.ground);
      expect(full.includes('behind')).toBe(scene.backdrop !== 'none');
      if (scene.backdrop !== 'none') expect(full).toContain(`${scene.backdrop} behind`);
      if (scene.extra !== null) expect(full).toContain(`small ${scene.extra.colour} ${scene.extra.kind}`);
    }
  });

  test('differ where scenes differ: equal full captions mean equal scenes', () => {
    const seen = new Map<string, string>();
    for (const scene of scenes) {
      const { detail: _detail, wording: _wording, ...named } = scene;
      const full = captionOf(scene, 'full');
      expect(seen.get(full) ?? JSON.stringify(named)).toBe(JSON.stringify(named));
      seen.set(full, JSON.stringify(named));
    }
  });
});

describe('scenes', () => {
  test('the same seed and number give the same scene, and survive JSON', () => {
    expect(sampleScene(5, 17)).toEqual(sampleScene(5, 17));
    expect(JSON.parse(JSON.stringify(sampleScene(5, 17)))).toEqual(sampleScene(5, 17));
    expect(sampleScene(6, 17)).not.toEqual(sampleScene(5, 17));
    expect(sampleScene(5, 18)).not.toEqual(sampleScene(5, 17));
  });

  test('every round shows every kind once', () => {
    for (const round of [0, 3, 40]) {
      const shown = kinds.map((_, i) => sampleScene(9, round * kinds.length + i).subject.kind);
      expect([...shown].sort()).toEqual([...kinds].sort());
    }
  });

  test('every choice of the grammar occurs, and only where it belongs', () => {
    expect(new Set(scenes.map((scene) => scene.subject.colour)).size).toBe(colours.length);
    expect(new Set(scenes.map((scene) => scene.backdrop)).size).toBe(backdrops.length);
    for (const { subject, extra, ground, sky, skyItem } of scenes) {
      expect(habits[subject.kind].grounds).toContain(ground);
      expect(habits[subject.kind].colours).toContain(subject.colour);
      if (skyItem === 'moon') expect(sky).toBe('night');
      if (extra !== null) expect(extra.place).not.toBe(subject.place);
      if (extra !== null) expect(extra.kind).not.toBe(subject.kind);
    }
  });
});
