import { ellipse, poly, rect } from '../pen.ts';
import type { Subject } from './subject.ts';

const wood = '#6b4226';
const lamp = '#ffe27a';

export const house: Subject = (pen, tint) => {
  pen.area(tint.dark, rect(68, 12, 13, 30));
  pen.area(tint.main, rect(13, 46, 74, 54));
  pen.area(tint.dark, poly(2, 50, 50, 8, 98, 50));
  pen.detail(wood, rect(41, 66, 18, 34));
  pen.detail(lamp, rect(20, 60, 15, 16));
  pen.detail(lamp, rect(65, 60, 15, 16));
};

export const castle: Subject = (pen, tint) => {
  pen.area(tint.dark, rect(22, 48, 56, 52));
  for (const x of [30, 46, 62]) pen.area(tint.dark, rect(x, 40, 8, 10));
  for (const x of [4, 70]) {
    pen.area(tint.main, rect(x, 36, 26, 64));
    pen.area(tint.light, poly(x - 4, 38, x + 13, 6, x + 30, 38));
    pen.detail(lamp, rect(x + 9, 48, 8, 14));
  }
  pen.detail(wood, 'M38 100 L38 76 C38 62 62 62 62 76 L62 100 Z');
};

export const lighthouse: Subject = (pen, tint) => {
  const other = tint.word === 'white' ? '#8a93a3' : '#fbf8f0';
  const edge = (y: number): number => 16 - ((100 - y) / 70) * 6;
  pen.area(tint.main, poly(50 - edge(100), 100, 50 - edge(28), 28, 50 + edge(28), 28, 50 + edge(100), 100));
  for (const y of [42, 72]) {
    const [top, low] = [edge(y), edge(y + 15)];
    pen.detail(other, poly(50 - top, y, 50 + top, y, 50 + low, y + 15, 50 - low, y + 15));
  }
  pen.area(lamp, rect(42, 12, 16, 16));
  pen.area(tint.dark, poly(38, 13, 50, -2, 62, 13));
  pen.detail('#3a3a44', rect(34, 27, 32, 4));
};

export const windmill: Subject = (pen, tint, random) => {
  pen.area(tint.main, poly(28, 100, 36, 38, 64, 38, 72, 100));
  pen.area(tint.dark, 'M33 40 C34 22 66 22 67 40 Z');
  pen.detail(wood, rect(43, 78, 14, 22));
  pen.detail(lamp, rect(44, 52, 12, 12));
  const sail = tint.word === 'white' ? '#8a5a3a' : '#fff6e2';
  const turn = random.between(0.5, 1.05);
  for (let blade = 0; blade < 4; blade += 1) {
    const angle = turn + (blade * Math.PI) / 2;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const at = (along: number, across: number): [number, number] => [
      50 + along * cos - across * sin,
      36 + along * sin + across * cos,
    ];
    pen.area(sail, poly(...at(2, -1), ...at(44, -1), ...at(44, 11), ...at(14, 11)));
  }
  pen.detail('#3a2c28', ellipse(50, 36, 4));
};

export const tent: Subject = (pen, tint) => {
  pen.area(tint.main, poly(50, 20, 100, 100, 0, 100));
  pen.detail(tint.light, poly(50, 20, 22, 100, 0, 100));
  pen.detail('#2c2330', poly(50, 42, 68, 100, 36, 100));
  pen.stroke(wood, 4, 'M50 24 L50 8');
  pen.detail(tint.dark, poly(50, 6, 68, 12, 50, 18));
};
