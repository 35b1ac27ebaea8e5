// Pictures in rows and columns with words, as SVG.
import { svgText, wrapText } from './font.ts';

export interface GridPicture {
  /** Bytes of a PNG. */
  readonly png: Uint8Array;
}

export interface PictureGrid {
  readonly title: string;
  readonly note: string;
  readonly columns: readonly { readonly title: string; readonly note: string }[];
  /** One picture for each column. */
  readonly rows: readonly { readonly label: string; readonly note: string; readonly pictures: readonly GridPicture[] }[];
  /** Side of a picture in the grid. */
  readonly side: number;
}

const GAP = 12;
const EDGE = 24;
const LABEL = 200;
const TOP = 118;

export function pictureGrid({ title, note, columns, rows, side }: PictureGrid): string {
  const width = EDGE * 2 + LABEL + columns.length * (side + GAP) - GAP;
  const height = TOP + rows.length * (side + GAP) - GAP + EDGE;
  const leftOf = (column: number): number => EDGE + LABEL + column * (side + GAP);
  const topOf = (row: number): number => TOP + row * (side + GAP);
  const parts = [
    svgText(title, EDGE, 36, { size: 15, bold: true }),
    svgText(note, EDGE, 60, { size: 9.5, color: '#6b7280' }),
    ...columns.flatMap((column, i) => [
      svgText(column.title, leftOf(i) + side / 2, 88, { size: 11, anchor: 'middle', bold: true }),
      svgText(column.note, leftOf(i) + side / 2, 106, { size: 8.5, anchor: 'middle', color: '#6b7280' }),
    ]),
    ...rows.flatMap((row, at) => rowParts(row, topOf(at), leftOf, side)),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`
    + `<rect width="${width}" height="${height}" fill="#ffffff"/>${parts.join('')}</svg>`;
}

function rowParts({ label, note, pictures }: PictureGrid['rows'][number], top: number, leftOf: (column: number) => number, side: number): string[] {
  const lines = wrapText(label, 10, LABEL - 24);
  const middle = top + side / 2 - ((lines.length - 1) * 19 + 22) / 2;
  return [
    ...lines.map((line, i) => svgText(line, EDGE, middle + i * 19, { size: 10 })),
    svgText(note, EDGE, middle + lines.length * 19 + 5, { size: 8.5, color: '#6b7280' }),
    ...pictures.map(({ png }, i) => `<image x="${leftOf(i)}" y="${top}" width="${side}" height="${side}" preserveAspectRatio="xMidYMid slice" xlink:href="data:image/png;base64,${Buffer.from(png).toString('base64')}"/>`),
  ];
}
