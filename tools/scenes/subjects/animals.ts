import { circle, ellipse, poly } from '../pen.ts';
import type { Subject } from './subject.ts';

export const cat: Subject = (pen, tint) => {
  pen.area(tint.dark, 'M66 96 Q98 100 92 66 Q90 54 82 58 Q86 84 66 84 Z');
  pen.area(tint.main, 'M26 100 Q20 60 50 52 Q80 60 74 100 Z');
  pen.area(tint.main, poly(24, 40, 24, 4, 48, 20));
  pen.area(tint.main, poly(76, 40, 76, 4, 52, 20));
  pen.area(tint.main, ellipse(50, 36, 29, 25));
  pen.detail(tint.light, ellipse(50, 82, 12, 16));
  const eye = tint.word === 'black' ? '#f6e04a' : '#1e1a22';
  pen.detail(eye, `${ellipse(39, 33, 5, 6)} ${ellipse(61, 33, 5, 6)}`);
  pen.detail('#f08a9c', poly(45, 43, 55, 43, 50, 49));
};

export const bird: Subject = (pen, tint) => {
  pen.area(tint.dark, poly(26, 60, 0, 46, 2, 78));
  pen.area(tint.main, 'M12 62 C24 36 52 46 66 44 C70 84 34 90 12 62 Z');
  pen.area(tint.main, circle(74, 44, 17));
  pen.area(tint.light, 'M58 58 Q50 14 18 4 Q16 44 40 64 Z');
  pen.area('#f5a524', poly(88, 38, 104, 46, 88, 52));
  pen.detail('#ffffff', circle(78, 40, 5.5));
  pen.detail('#15131a', circle(79.5, 40, 3));
};

export const fish: Subject = (pen, tint) => {
  pen.area(tint.dark, poly(26, 52, 0, 26, 6, 52, 0, 80));
  pen.area(tint.dark, 'M38 32 Q52 6 72 28 Z');
  pen.area(tint.main, 'M18 52 C36 12 84 18 98 52 C84 88 36 92 18 52 Z');
  pen.detail(tint.light, 'M44 28 Q34 52 44 77 L54 80 Q44 52 54 25 Z');
  pen.detail('#ffffff', circle(78, 44, 8));
  pen.detail('#15131a', circle(80, 44, 4));
};
