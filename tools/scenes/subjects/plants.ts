import { circle, ellipse, poly, rect } from '../pen.ts';
import type { Subject } from './subject.ts';

const bark = '#7a4a28';
const leaf = '#2f8f3a';

export const tree: Subject = (pen, tint) => {
  pen.area(bark, poly(43, 100, 45, 55, 55, 55, 57, 100));
  pen.area(tint.main, `${circle(30, 46, 23)} ${circle(70, 46, 23)} ${circle(50, 28, 27)} ${circle(50, 54, 20)}`);
  pen.detail(tint.light, `${circle(42, 24, 9)} ${circle(62, 42, 7)} ${circle(26, 44, 6)}`);
};

export const pine: Subject = (pen, tint) => {
  pen.area(bark, rect(44, 82, 12, 18));
  pen.area(tint.dark, poly(12, 86, 50, 42, 88, 86));
  pen.area(tint.main, poly(19, 64, 50, 22, 81, 64));
  pen.area(tint.light, poly(27, 40, 50, 0, 73, 40));
};

export const palm: Subject = (pen, tint) => {
  pen.area('#a9713c', 'M44 100 Q50 66 42 34 L50 32 Q60 66 56 100 Z');
  const frond = (x: number, y: number, bend: number): string =>
    `M46 30 Q${(46 + x) / 2} ${bend - 10} ${x} ${y} Q${(46 + x) / 2} ${bend + 10} 46 36 Z`;
  pen.area(tint.dark, `${frond(8, 54, 28)} ${frond(86, 54, 28)}`);
  pen.area(tint.main, `${frond(0, 30, 14)} ${frond(94, 30, 14)} ${frond(24, 2, 8)} ${frond(70, 2, 8)}`);
  pen.detail('#6b3f1d', `${circle(42, 36, 5)} ${circle(51, 37, 5)}`);
};

export const cactus: Subject = (pen, tint) => {
  pen.area(tint.main, 'M40 100 L40 18 C40 2 60 2 60 18 L60 100 Z');
  pen.area(tint.main, 'M44 72 L22 72 C14 72 12 68 12 62 L12 44 C12 34 26 34 26 44 L26 58 L44 58 Z');
  pen.area(tint.main, 'M56 60 L78 60 C86 60 88 56 88 50 L88 32 C88 22 74 22 74 32 L74 46 L56 46 Z');
  pen.stroke(tint.dark, 3, 'M47 96 L47 18');
  pen.stroke(tint.dark, 3, 'M54 96 L54 18');
  pen.detail('#f0568a', circle(50, 7, 7));
};

export const flower: Subject = (pen, tint) => {
  pen.area(leaf, rect(46.5, 52, 7, 48));
  pen.area(leaf, 'M50 96 Q22 94 16 68 Q44 70 50 96 Z');
  pen.area(leaf, 'M50 90 Q76 88 84 64 Q56 66 50 90 Z');
  const petals = Array.from({ length: 6 }, (_, i) => {
    const angle = (i * Math.PI) / 3 + 0.3;
    return circle(50 + 20 * Math.cos(angle), 32 + 20 * Math.sin(angle), 13.5);
  });
  pen.area(tint.main, petals.join(' '));
  pen.detail(tint.word === 'yellow' || tint.word === 'orange' ? '#9c4a12' : '#fbc62a', circle(50, 32, 11));
};

export const mushroom: Subject = (pen, tint) => {
  pen.area('#f6e7cc', 'M38 52 Q40 80 32 100 L68 100 Q60 80 62 52 Z');
  pen.area(tint.main, 'M4 58 C4 -2 96 -2 96 58 C96 66 4 66 4 58 Z');
  const spot = tint.word === 'white' ? '#b9a58a' : '#fff8ee';
  const spots = [ellipse(30, 40, 10, 9), ellipse(58, 28, 11, 9), ellipse(78, 46, 7), ellipse(54, 52, 6, 5)];
  pen.detail(spot, spots.join(' '));
};
