import type { Part } from '../pen.ts';

/** Gradients for the parts that fade from top to bottom, and the paint to fill each part with. */
export function fadesOf(parts: readonly Part[]): { definitions: string; fillOf(part: Part): string } {
  const fading = parts.filter((part) => part.toColour !== undefined);
  const gradients = fading.map(
    (part, i) =>
      `<linearGradient id="fade${i}" x1="0" y1="0" x2="0" y2="1">` +
      `<stop offset="0" stop-color="${part.colour}"/><stop offset="1" stop-color="${part.toColour}"/></linearGradient>`,
  );
  return {
    definitions: `<defs>${gradients.join('')}</defs>`,
    fillOf: (part) => (part.toColour === undefined ? part.colour : `url(#fade${fading.indexOf(part)})`),
  };
}
