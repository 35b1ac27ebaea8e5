import { fadesOf } from './fade.ts';
import type { Style } from './style.ts';

/** Flat areas of colour, fading skies and grounds, no outlines: what the starter model is trained on. */
export const plain: Style = {
  paint: ({ parts }) => {
    const { definitions, fillOf } = fadesOf(parts);
    const shapes = parts.map((part) =>
      part.line === undefined
        ? `<path d="${part.path}" fill="${fillOf(part)}"/>`
        : `<path d="${part.path}" fill="none" stroke="${part.colour}" stroke-width="${part.line.toFixed(2)}"/>`,
    );
    return definitions + shapes.join('');
  },
};
