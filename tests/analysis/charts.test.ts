// Charts: round numbers on axes, and letters that show on machines without fonts.
import { describe, expect, test } from 'vitest';

import { svgText, textWidth, wrapText } from '../../src-main/analysis/charts/font.ts';
import { cutOff, lossChart, runningMean } from '../../src-main/analysis/charts/loss-chart.ts';
import { magnitudeDirectionChart } from '../../src-main/analysis/charts/magnitude-direction-chart.ts';
import { alongAxis, linearAxis, logAxis, tickText } from '../../src-main/analysis/charts/ticks.ts';
import { xyChart } from '../../src-main/analysis/charts/xy-chart.ts';
import { decodeImage } from '../../src-main/files/images.ts';
import { renderSvg } from '../../src-main/files/render-svg.ts';

/** Share of dark pixels in a part of the picture. */
async function ink(png: Buffer, left: number, top: number, width: number, height: number): Promise<number> {
  const picture = await decodeImage(png);
  let dark = 0;
  for (let y = top; y < top + height; y++) {
    for (let x = left; x < left + width; x++) {
      const at = (y * picture.width + x) * picture.channels;
      if (picture.data[at]! + picture.data[at + 1]! + picture.data[at + 2]! < 450) dark++;
    }
  }
  return dark / (width * height);
}

const page = (body: string, width: number, height: number): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${body}</svg>`;

describe('text', () => {
  test('is drawn with paths alone and shows', async () => {
    const text = svgText('Loss 0.25', 10, 30, { size: 14 });
    expect(text).not.toContain('<text');
    const png = await renderSvg(page(text, 140, 40));
    expect(await ink(png, 8, 12, 100, 22)).toBeGreaterThan(0.05);
    expect(await ink(png, 118, 0, 20, 40)).toBe(0);
  });

  test('every printable character has a glyph of its own', () => {
    const all = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
    const drawn = all.map((character) => svgText(character, 0, 0, { size: 10 }));
    const box = svgText('\u4e00', 0, 0, { size: 10 });
    expect(new Set(drawn).size).toBe(94);
    expect(drawn).not.toContain(box);
  });

  test('its width is that of what is drawn, and anchors move it', async () => {
    const width = textWidth('MMMM', 20);
    const at = async (anchor: 'start' | 'end'): Promise<number> =>
      ink(await renderSvg(page(svgText('MMMM', 100, 30, { size: 20, anchor }), 200, 40)), 100, 5, 95, 30);
    expect(width).toBeCloseTo((4 * 8 + 3 * 2.3) * 2, 10);
    expect(await at('start')).toBeGreaterThan(0.1);
    expect(await at('end')).toBeLessThan(0.01);
  });

  test('wraps at spaces', () => {
    const lines = wrapText('a small yellow mushroom on the left', 10, 90);
    expect(lines.join(' ')).toBe('a small yellow mushroom on the left');
    expect(lines.length).toBeGreaterThan(2);
    for (const line of lines) expect(textWidth(line, 10)).toBeLessThanOrEqual(90);
  });
});

describe('axes', () => {
  test.each([
    [[0, 0.43], [0, 0.1, 0.2, 0.3, 0.4, 0.5]],
    [[12, 388], [0, 100, 200, 300, 400]],
    [[-3, 3], [-3, -2, -1, 0, 1, 2, 3]],
  ])('%o', (values, ticks) => {
    const axis = linearAxis(values);
    expect(axis.ticks.map((tick) => Number(tick.toFixed(9)))).toEqual(ticks);
    expect(axis.min).toBeLessThanOrEqual(Math.min(...values));
    expect(axis.max).toBeGreaterThanOrEqual(Math.max(...values));
  });

  test('one value, and no value', () => {
    expect(linearAxis([0.2]).max).toBeGreaterThan(0.2);
    expect(linearAxis([]).ticks.length).toBeGreaterThan(1);
  });

  test('logarithmic', () => {
    const axis = logAxis([1e-4, 1e-2]);
    expect(axis.ticks).toContain(1e-3);
    expect(alongAxis(axis, 1e-3)).toBeCloseTo(0.5, 10);
  });

  test.each([[0, '0'], [0.25, '0.25'], [-0.5, '−0.5'], [1500, '1500'], [5e-5, '5e-5'], [2e6, '2e6'], [0.30000000000000004, '0.3']])('%d is written %s', (value, text) => {
    expect(tickText(value)).toBe(text);
  });
});

describe('charts', () => {
  test('a line goes through its points', async () => {
    const svg = xyChart({ title: 'T', x: { label: 'x' }, y: { label: 'y' }, series: [{ color: '#000000', points: [[0, 0], [10, 10]], line: { width: 3 } }] });
    const png = await renderSvg(svg);
    // Of the plot (84…934, 62…498) the middle is on the diagonal, the corner is not.
    expect(await ink(png, 505, 276, 8, 8)).toBeGreaterThan(0.2);
    expect(await ink(png, 120, 110, 40, 40)).toBe(0);
  });

  test('labels, ticks and legend show', async () => {
    const svg = lossChart({
      name: 'demo', measuredOn: 'held-out pictures',
      steps: [1, 2, 3, 4].map((step) => ({ step, loss: 1 / step })),
      measured: [{ step: 0, loss: 1 }, { step: 2, loss: null }, { step: 4, loss: 0.4 }],
    });
    const png = await renderSvg(svg);
    expect(svg).not.toMatch(/<text|NaN|Infinity/);
    expect(await ink(png, 84, 12, 100, 20)).toBeGreaterThan(0.05);
    expect(await ink(png, 490, 535, 40, 15)).toBeGreaterThan(0.05);
    expect(await ink(png, 14, 200, 18, 160)).toBeGreaterThan(0.02);
    expect(await ink(png, 800, 78, 120, 55)).toBeGreaterThan(0.02);
    expect(await ink(png, 40, 54, 36, 16)).toBeGreaterThan(0.02);
  });

  test('steps above the picture are told', () => {
    const points = [[1, 0.2], [2, 7.44], [3, 0.9], [4, 1.2]] as const;
    expect(cutOff(points, 8)).toBe('');
    expect(cutOff(points, 1.2)).toBe(' One step is higher: 7.4.');
    expect(cutOff(points, 0.5)).toBe(' 3 steps are higher, up to 7.4.');
  });

  test('a running mean of a constant is the constant', () => {
    const mean = runningMean([[1, 0.5], [2, 0.5], [3, 0.5]]);
    mean.forEach(([, value]) => expect(value).toBeCloseTo(0.5, 12));
  });

  test('groups carry correlation and slope; empty groups and single points do no harm', () => {
    const point = (direction: number, relativeMagnitude: number, step = 1) => ({ layer: 'a', step, direction, magnitude: 1, relativeMagnitude });
    const lone = magnitudeDirectionChart('T', [{ label: 'one', color: '#0000ff', points: [point(1, 1)] }, { label: 'none', color: '#ff0000', points: [] }]);
    const pair = magnitudeDirectionChart('T', [{ label: 'two', color: '#0000ff', points: [point(1, 1), point(2, 3, 2)] }]);
    expect(lone + pair).not.toMatch(/NaN|Infinity/);
    const glyphs = (text: string): number => [...text].filter((character) => character !== ' ').length;
    const rowOf = (svg: string): string => svg.slice(svg.lastIndexOf('<rect'));
    expect(rowOf(pair).match(/<path transform/g)?.length).toBe(glyphs('two: r = +1.00, slope +2.00'));
    expect(rowOf(lone).match(/<path transform/g)?.length).toBe(glyphs('one: r = not defined'));
  });
});
