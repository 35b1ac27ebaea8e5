import { circle, ellipse, poly, rect } from '../pen.ts';
import type { Subject } from './subject.ts';

const rubber = '#26252b';
const steel = '#c8ccd4';
const glass = '#bfe6f7';

export const boat: Subject = (pen, tint) => {
  pen.area('#6b4226', rect(46, 4, 5, 74));
  pen.area('#fdfaf2', 'M54 6 Q92 36 92 68 L54 68 Z');
  pen.area(tint.light, 'M43 14 Q22 38 14 66 L43 66 Z');
  pen.area(tint.main, 'M2 74 L98 74 Q92 100 76 100 L24 100 Q8 100 2 74 Z');
  pen.detail(tint.dark, poly(2, 74, 98, 74, 97, 81, 4, 81));
};

export const car: Subject = (pen, tint) => {
  pen.area(tint.main, 'M22 62 Q28 34 40 34 L64 34 Q76 34 84 62 Z');
  pen.area(tint.main, 'M0 92 L0 72 Q0 60 14 60 L86 60 Q100 60 100 72 L100 92 Z');
  pen.detail(glass, 'M29 60 Q33 41 41 41 L49 41 L49 60 Z');
  pen.detail(glass, 'M55 60 L55 41 L62 41 Q70 41 76 60 Z');
  pen.detail('#ffe27a', ellipse(95, 73, 5));
  for (const x of [24, 76]) {
    pen.area(rubber, circle(x, 88, 14));
    pen.detail(steel, circle(x, 88, 6.5));
  }
};

export const train: Subject = (pen, tint) => {
  pen.detail('#e4e4e6', `${circle(66, 12, 9)} ${circle(50, 5, 8)} ${circle(36, 2, 6)}`);
  pen.area(tint.dark, poly(70, 50, 73, 22, 89, 22, 86, 50));
  pen.area(tint.main, rect(30, 46, 66, 34));
  pen.area(tint.main, rect(2, 26, 38, 54));
  pen.area(tint.dark, rect(-2, 20, 46, 9));
  pen.detail(glass, rect(10, 35, 21, 18));
  pen.detail(tint.light, rect(50, 46, 7, 34));
  pen.detail('#ffe27a', ellipse(96, 56, 6));
  for (const x of [18, 46, 74]) {
    pen.area(rubber, circle(x, 84, 13));
    pen.detail(steel, circle(x, 84, 5));
  }
  pen.stroke('#4a4048', 4, 'M-10 99 L110 99');
};

export const balloon: Subject = (pen, tint) => {
  pen.stroke('#5b3a26', 2.5, 'M38 68 L43 86');
  pen.stroke('#5b3a26', 2.5, 'M62 68 L57 86');
  pen.area(tint.main, 'M50 0 C84 0 92 26 86 42 C80 58 66 66 62 74 L38 74 C34 66 20 58 14 42 C8 26 16 0 50 0 Z');
  pen.area(tint.light, 'M50 0 C72 4 74 30 70 44 C66 60 58 66 56 74 L44 74 C42 66 34 60 30 44 C26 30 28 4 50 0 Z');
  pen.detail(tint.main, 'M50 0 C60 10 60 44 53 74 L47 74 C40 44 40 10 50 0 Z');
  pen.area('#8a5a30', poly(40, 84, 60, 84, 58, 100, 42, 100));
};
