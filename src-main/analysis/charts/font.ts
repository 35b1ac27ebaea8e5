// A small stroke font, so that pictures carry readable text on machines without any font. Glyphs are drawn in units with
// y down: capitals from 0 to 10 (the baseline), small letters from 3, descenders to 13.

type Glyph = readonly [width: number, path: string];

const BOWL_RIGHT = 'M5.2 6.5C5.2 4.4 4.2 3 2.6 3S0 4.4 0 6.5 1 10 2.6 10 5.2 8.6 5.2 6.5';
const BOWL_LEFT = 'M0 6.5C0 4.4 1 3 2.7 3S5.4 4.4 5.4 6.5 4.4 10 2.7 10 0 8.6 0 6.5';
const ROUND = 'M0 5C0 2 1.5 0 3.7 0S7.4 2 7.4 5 5.9 10 3.7 10 0 8 0 5Z';

const glyphs: Readonly<Record<string, Glyph>> = {
  ' ': [1.6, ''],
  A: [7, 'M0 10L3.5 0L7 10M1.2 6.6H5.8'],
  B: [6.1, 'M0 0V10H3.4A2.7 2.7 0 0 0 3.4 4.6H0M3 4.6A2.3 2.3 0 0 0 3 0H0'],
  C: [6.8, 'M6.8 2.2C6 .8 5 0 3.7 0 1.5 0 0 2 0 5S1.5 10 3.7 10C5 10 6 9.2 6.8 7.8'],
  D: [6.6, 'M0 0V10H2.4C5 10 6.6 8.2 6.6 5S5 0 2.4 0Z'],
  E: [5.6, 'M5.6 0H0V10H5.6M0 4.8H4.8'],
  F: [5.4, 'M5.4 0H0V10M0 4.8H4.6'],
  G: [7, 'M6.8 2.2C6 .8 5 0 3.7 0 1.5 0 0 2 0 5S1.5 10 3.7 10C5.7 10 7 8.8 7 6.6V5.4H4'],
  H: [6.6, 'M0 0V10M6.6 0V10M0 4.8H6.6'],
  I: [0.2, 'M.1 0V10'],
  J: [4.4, 'M4.4 0V7.4C4.4 9 3.6 10 2.2 10 1 10 .2 9.3 0 8'],
  K: [6.2, 'M0 0V10M6 0L0 6.2M2.2 4.1L6.2 10'],
  L: [5.2, 'M0 0V10H5.2'],
  M: [8, 'M0 10V0L4 6.6L8 0V10'],
  N: [6.8, 'M0 10V0L6.8 10V0'],
  O: [7.4, ROUND],
  P: [6, 'M0 10V0H3.2A2.8 2.8 0 0 1 3.2 5.6H0'],
  Q: [7.4, `${ROUND}M4.8 7.6L7.4 10.8`],
  R: [6.3, 'M0 10V0H3.2A2.8 2.8 0 0 1 3.2 5.6H0M3.2 5.6L6.3 10'],
  S: [6, 'M5.8 1.9C5.2 .7 4.3 0 3 0 1.3 0 .2 1 .2 2.5 .2 4.2 1.6 4.6 3 4.9 4.6 5.2 6 5.7 6 7.4 6 9 4.8 10 3 10 1.5 10 .5 9.3 0 8'],
  T: [6.4, 'M0 0H6.4M3.2 0V10'],
  U: [6.6, 'M0 0V6.4C0 8.8 1.2 10 3.3 10S6.6 8.8 6.6 6.4V0'],
  V: [7, 'M0 0L3.5 10L7 0'],
  W: [9.6, 'M0 0L2.4 10L4.8 1.6L7.2 10L9.6 0'],
  X: [6.4, 'M0 0L6.4 10M6.4 0L0 10'],
  Y: [6.8, 'M0 0L3.4 5V10M6.8 0L3.4 5'],
  Z: [6.4, 'M.2 0H6.2L0 10H6.4'],
  a: [5.2, `M5.2 3V10${BOWL_RIGHT}`],
  b: [5.4, `M0 0V10${BOWL_LEFT}`],
  c: [4.8, 'M4.8 4.4C4.3 3.5 3.6 3 2.7 3 1.1 3 0 4.4 0 6.5S1.1 10 2.7 10C3.6 10 4.3 9.5 4.8 8.6'],
  d: [5.2, `M5.2 0V10${BOWL_RIGHT}`],
  e: [5.2, 'M0 6.4H5.2C5.2 4.3 4.2 3 2.6 3S0 4.4 0 6.5 1.1 10 2.7 10C3.8 10 4.6 9.5 5.1 8.7'],
  f: [3.4, 'M3.4 .1C3.2 0 2.9 0 2.6 0 1.6 0 1.1 .7 1.1 1.9V10M0 3H3.2'],
  g: [5.2, `M5.2 3V10.4C5.2 12.2 4.3 13.2 2.6 13.2 1.6 13.2 .8 12.9 .3 12.2${BOWL_RIGHT}`],
  h: [4.8, 'M0 0V10M0 5.8C.2 4 1.2 3 2.6 3 4 3 4.8 3.9 4.8 5.6V10'],
  i: [0.2, 'M.1 3V10M.1 .4V.6'],
  j: [1.5, 'M1.4 3V11.2C1.4 12.5 .9 13.2 0 13.2M1.4 .4V.6'],
  k: [4.8, 'M0 0V10M4.6 3L0 7.4M1.8 5.7L4.8 10'],
  l: [1.5, 'M0 0V8.2C0 9.4 .5 10 1.5 10'],
  m: [8.4, 'M0 3V10M0 5.4C.2 3.9 1.1 3 2.3 3 3.6 3 4.2 3.8 4.2 5.4V10M4.2 5.4C4.4 3.9 5.3 3 6.5 3 7.8 3 8.4 3.8 8.4 5.4V10'],
  n: [4.8, 'M0 3V10M0 5.8C.2 4 1.2 3 2.6 3 4 3 4.8 3.9 4.8 5.6V10'],
  o: [5.6, 'M0 6.5C0 4.4 1.1 3 2.8 3S5.6 4.4 5.6 6.5 4.5 10 2.8 10 0 8.6 0 6.5Z'],
  p: [5.4, `M0 3V13.2${BOWL_LEFT}`],
  q: [5.2, `M5.2 3V13.2${BOWL_RIGHT}`],
  r: [3.3, 'M0 3V10M0 6C.2 4.1 1.2 3 2.6 3 2.9 3 3.1 3 3.3 3.1'],
  s: [4.6, 'M4.4 4.4C4 3.5 3.3 3 2.3 3 1.1 3 .3 3.7 .3 4.7 .3 6 1.4 6.2 2.4 6.4 3.6 6.7 4.6 7 4.6 8.2 4.6 9.3 3.7 10 2.4 10 1.2 10 .4 9.5 0 8.6'],
  t: [3.2, 'M1.1 .8V8.2C1.1 9.4 1.6 10 2.5 10 2.8 10 3 10 3.2 9.9M0 3H3.1'],
  u: [4.8, 'M0 3V7.4C0 9.1 .8 10 2.2 10 3.6 10 4.6 9 4.8 7.2M4.8 3V10'],
  v: [5.2, 'M0 3L2.6 10L5.2 3'],
  w: [7.6, 'M0 3L1.9 10L3.8 4.2L5.7 10L7.6 3'],
  x: [4.8, 'M0 3L4.8 10M4.8 3L0 10'],
  y: [5.2, 'M0 3L2.6 10M5.2 3L2 11.6C1.6 12.7 1 13.2 .1 13.2'],
  z: [4.7, 'M.1 3H4.6L0 10H4.7'],
  0: [6, 'M0 5C0 1.8 1 0 3 0S6 1.8 6 5 5 10 3 10 0 8.2 0 5Z'],
  1: [6, 'M1.2 2.2L3.6 0V10'],
  2: [6, 'M.2 2.6C.3 1 1.4 0 3 0 4.7 0 5.8 1 5.8 2.6 5.8 4.6 3.6 6 0 10H6'],
  3: [6, 'M.4 1.6C.9 .6 1.8 0 3 0 4.6 0 5.6 .9 5.6 2.4S4.6 4.7 3 4.7H2.2M3 4.7C4.9 4.7 6 5.7 6 7.3 6 9 4.8 10 3 10 1.6 10 .5 9.4 0 8.2'],
  4: [6, 'M4.6 10V0L0 7H6'],
  5: [6, 'M5.5 0H1L.5 4.6C1.2 4 2 3.7 3 3.7 4.8 3.7 6 4.9 6 6.8S4.8 10 3 10C1.6 10 .6 9.4 0 8.3'],
  6: [6, 'M5.4 1.3C4.9 .5 4.1 0 3.2 0 1.1 0 0 2.2 0 5.6 0 8.4 1.1 10 3 10 4.8 10 6 8.7 6 6.9S4.8 4 3 4C1.4 4 .3 5.1 0 6.6'],
  7: [6, 'M0 0H6L2.2 10'],
  8: [6, 'M3 4.6C1.4 4.6 .4 3.7 .4 2.3S1.4 0 3 0 5.6 .9 5.6 2.3 4.6 4.6 3 4.6C1.1 4.6 0 5.7 0 7.3S1.1 10 3 10 6 8.9 6 7.3 4.9 4.6 3 4.6Z'],
  9: [6, 'M.6 8.7C1.1 9.5 1.9 10 2.8 10 4.9 10 6 7.8 6 4.4 6 1.6 4.9 0 3 0 1.2 0 0 1.3 0 3.1S1.2 6 3 6C4.6 6 5.7 4.9 6 3.4'],
  '.': [0.4, 'M.2 9.8V10'],
  ',': [0.8, 'M.6 9.8L0 11.6'],
  ':': [0.4, 'M.2 9.8V10M.2 4.2V4.4'],
  ';': [0.8, 'M.6 9.8L0 11.6M.6 4.2V4.4'],
  '!': [0.4, 'M.2 0V7M.2 9.8V10'],
  '?': [5, 'M.1 2.4C.3 .9 1.2 0 2.5 0 4 0 5 .9 5 2.4 5 4.6 2.5 4.6 2.5 7.2M2.5 9.8V10'],
  '\'': [0.4, 'M.2 0V3'],
  '"': [2.2, 'M.2 0V3M2 0V3'],
  '(': [2.2, 'M2.2 -.6C.8 1 0 3 0 5.4S.8 9.8 2.2 11.4'],
  ')': [2.2, 'M0 -.6C1.4 1 2.2 3 2.2 5.4S1.4 9.8 0 11.4'],
  '[': [2, 'M2 -.6H0V11.4H2'],
  ']': [2, 'M0 -.6H2V11.4H0'],
  '{': [2.6, 'M2.6 -.6C1.4 -.6 1.3 0 1.3 1.4V4C1.3 5 .9 5.4 0 5.4 .9 5.4 1.3 5.8 1.3 6.8V9.4C1.3 10.8 1.4 11.4 2.6 11.4'],
  '}': [2.6, 'M0 -.6C1.2 -.6 1.3 0 1.3 1.4V4C1.3 5 1.7 5.4 2.6 5.4 1.7 5.4 1.3 5.8 1.3 6.8V9.4C1.3 10.8 1.2 11.4 0 11.4'],
  '/': [4.4, 'M4.4 -.4L0 11'],
  '\\': [4.4, 'M0 -.4L4.4 11'],
  '|': [0.2, 'M.1 -.6V11.4'],
  '-': [3.2, 'M0 6.2H3.2'],
  '–': [4.8, 'M0 6.2H4.8'],
  '−': [5.6, 'M0 5.6H5.6'],
  _: [6, 'M0 11.6H6'],
  '+': [5.6, 'M0 5.6H5.6M2.8 2.8V8.4'],
  '±': [5.6, 'M0 4.8H5.6M2.8 2V7.6M0 10H5.6'],
  '=': [5.6, 'M0 4.2H5.6M0 7.2H5.6'],
  '<': [5.4, 'M5.4 2.6L0 5.7L5.4 8.8'],
  '>': [5.4, 'M0 2.6L5.4 5.7L0 8.8'],
  '~': [5.6, 'M0 6.4C.4 5.2 1 4.8 1.6 4.8 2.6 4.8 3 6.4 4 6.4 4.6 6.4 5.2 6 5.6 4.8'],
  '^': [4.8, 'M0 4L2.4 0L4.8 4'],
  '`': [1.6, 'M0 0L1.6 2.2'],
  '*': [4.2, 'M2.1 .4V5M0 1.6L4.2 3.8M4.2 1.6L0 3.8'],
  '#': [6.2, 'M2 .4L1 9.8M5.2 .4L4.2 9.8M.4 3.2H6.2M0 6.8H5.8'],
  '%': [8, 'M7 0L1 10M0 2.2A1.7 2.1 0 1 1 3.4 2.2A1.7 2.1 0 1 1 0 2.2M4.6 7.8A1.7 2.1 0 1 1 8 7.8A1.7 2.1 0 1 1 4.6 7.8'],
  '&': [7, 'M7 10L1.7 3.6C.7 2.4 .8 0 2.8 0 4.8 0 5 2.5 3.6 3.6L1.6 5C-.8 6.6 .1 10 2.6 10 5 10 6.4 8 6.6 5.4'],
  '@': [9, 'M6.4 3.4V6.4C6.4 8.4 9 8 9 5 9 2 7.2 0 4.5 0S0 2 0 5.2 2 10.6 4.8 10.6C6 10.6 7 10.2 7.8 9.6M6.4 5.2A1.9 2.1 0 1 0 2.6 5.2A1.9 2.1 0 1 0 6.4 5.2'],
  $: [6, 'M3 -1.2V11.2M5.8 1.9C5.2 .7 4.3 0 3 0 1.3 0 .2 1 .2 2.5 .2 4.2 1.6 4.6 3 4.9 4.6 5.2 6 5.7 6 7.4 6 9 4.8 10 3 10 1.5 10 .5 9.3 0 8'],
  '×': [4.6, 'M0 3.3L4.6 7.9M4.6 3.3L0 7.9'],
  '·': [0.4, 'M.2 5.6V5.8'],
  '°': [2.8, 'M0 1.4A1.4 1.4 0 1 1 2.8 1.4A1.4 1.4 0 1 1 0 1.4'],
  '→': [6.4, 'M0 5.8H6.4M4 3.4L6.4 5.8L4 8.2'],
  '²': [3.2, 'M.1 1.2C.2 .4 .8 0 1.6 0 2.5 0 3.1 .5 3.1 1.3 3.1 2.4 1.9 3 0 5H3.2'],
  'Δ': [7, 'M0 10L3.5 0L7 10Z'],
  'µ': [4.8, 'M0 3V13.2M0 7.4C0 9.1 .8 10 2.2 10 3.6 10 4.6 9 4.8 7.2M4.8 3V10'],
};
const UNKNOWN: Glyph = [5.4, 'M0 0H5.4V10H0Z'];

/** Typographic characters that look the same as a plain one here. */
const SAME: Readonly<Record<string, string>> = { '’': '\'', '‘': '\'', '“': '"', '”': '"', '—': '–', '\u00a0': ' ', '…': '.' };

const GAP = 2.3;
/** Height of capitals in units. */
const CAPITAL = 10;

const glyphOf = (character: string): Glyph => glyphs[SAME[character] ?? character] ?? UNKNOWN;

/** Width in pixels of one line. @param size height of capital letters in pixels */
export function textWidth(text: string, size: number): number {
  const units = [...text].reduce((sum, character) => sum + glyphOf(character)[0] + GAP, 0);
  return (Math.max(0, units - GAP) * size) / CAPITAL;
}

export interface TextStyle {
  /** Height of capital letters in pixels. */
  readonly size: number;
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly color?: string;
  readonly bold?: boolean;
  /** Degrees, clockwise, about the anchor. */
  readonly rotate?: number;
}

/** SVG of one line of text whose baseline starts (or is centred, or ends) at x, y. */
export function svgText(text: string, x: number, y: number, style: TextStyle): string {
  const { size, anchor = 'start', color = '#1f2937', bold = false, rotate = 0 } = style;
  const scale = size / CAPITAL;
  const width = textWidth(text, size) / scale;
  let at = anchor === 'start' ? 0 : anchor === 'middle' ? -width / 2 : -width;
  const paths: string[] = [];
  for (const character of text) {
    const [advance, path] = glyphOf(character);
    if (path !== '') paths.push(`<path transform="translate(${round(at)} ${-CAPITAL})" d="${path}"/>`);
    at += advance + GAP;
  }
  const turn = rotate === 0 ? '' : ` rotate(${rotate})`;
  return `<g transform="translate(${round(x)} ${round(y)})${turn} scale(${round(scale)})" fill="none" stroke="${color}" `
    + `stroke-width="${bold ? 1.75 : 1.2}" stroke-linecap="round" stroke-linejoin="round">${paths.join('')}</g>`;
}

const round = (value: number): number => Math.round(value * 1000) / 1000;

/** Breaks a text at spaces into lines of at most `width` pixels; a longer word stands alone on its line. */
export function wrapText(text: string, size: number, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    const last = lines.at(-1);
    if (last !== undefined && textWidth(`${last} ${word}`, size) <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
