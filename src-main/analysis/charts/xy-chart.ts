// Charts of points and lines over two axes, as SVG without fonts.
import { svgText, textWidth } from './font.ts';
import { alongAxis, linearAxis, logAxis, tickText, type Axis } from './ticks.ts';

export type Point = readonly [x: number, y: number];

export interface Series {
  /** Text of the legend; series without one are not listed. */
  readonly label?: string;
  readonly color: string;
  readonly points: readonly Point[];
  readonly line?: { readonly width: number; readonly opacity?: number; readonly dash?: string };
  readonly marker?: { readonly radius: number; readonly opacity?: number; readonly hollow?: boolean };
}

export interface ChartAxis {
  readonly label: string;
  readonly isLog?: boolean;
  /** Values that must be on the axis besides those of the points. */
  readonly includes?: readonly number[];
  /** Largest value; points beyond it are cut off. */
  readonly atMost?: number;
}

export interface Chart {
  readonly title: string;
  readonly note?: string;
  readonly x: ChartAxis;
  readonly y: ChartAxis;
  readonly series: readonly Series[];
  readonly width?: number;
  readonly height?: number;
}

const INK = '#1f2937';
const SOFT = '#6b7280';
const GRID = '#e5e7eb';
const BESIDE = { top: 62, right: 26, bottom: 62, left: 84 };

/** Points that are not finite (or not positive on a logarithmic axis) are left out. */
export function xyChart(chart: Chart): string {
  const { width = 960, height = 560 } = chart;
  const usable = chart.series.map((series) => ({ ...series, points: series.points.filter((point) => isUsable(point, chart)) }));
  const x = axisOf(chart.x, usable.flatMap(({ points }) => points.map(([value]) => value)));
  const y = axisOf(chart.y, usable.flatMap(({ points }) => points.map(([, value]) => value)));
  const inner = { left: BESIDE.left, right: width - BESIDE.right, top: BESIDE.top, bottom: height - BESIDE.bottom };
  const place = ([px, py]: Point): Point => [
    inner.left + alongAxis(x, px) * (inner.right - inner.left),
    inner.bottom - alongAxis(y, py) * (inner.bottom - inner.top),
  ];
  const parts = [
    svgText(chart.title, inner.left, 28, { size: 14, bold: true }),
    ...(chart.note ? [svgText(chart.note, inner.left, 50, { size: 9.5, color: SOFT })] : []),
    ...axes(chart, x, y, inner, place),
    `<g clip-path="url(#plot)">${usable.map((series) => drawSeries(series, place)).join('')}</g>`,
    legend(usable, inner, place),
  ];
  const clip = `<defs><clipPath id="plot"><rect x="${inner.left}" y="${inner.top - 6}" width="${inner.right - inner.left + 6}" height="${inner.bottom - inner.top + 6}"/></clipPath></defs>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${clip}`
    + `<rect width="${width}" height="${height}" fill="#ffffff"/>${parts.join('')}</svg>`;
}

function isUsable([x, y]: Point, chart: Chart): boolean {
  const fits = (value: number, { isLog }: ChartAxis): boolean => Number.isFinite(value) && (!isLog || value > 0);
  return fits(x, chart.x) && fits(y, chart.y);
}

function axisOf({ isLog = false, includes = [], atMost = Infinity }: ChartAxis, values: readonly number[]): Axis {
  const all = [...values, ...includes].map((value) => Math.min(value, atMost));
  return isLog && all.length > 0 ? logAxis(all) : linearAxis(all);
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

function axes(chart: Chart, x: Axis, y: Axis, box: Box, place: (point: Point) => Point): string[] {
  const parts: string[] = [];
  for (const tick of y.ticks) {
    const at = round(place([x.min, tick])[1]);
    parts.push(`<path d="M${box.left} ${at}H${box.right}" stroke="${GRID}"/>`, svgText(tickText(tick), box.left - 10, at + 5, { size: 9.5, anchor: 'end' }));
  }
  for (const tick of x.ticks) {
    const at = round(place([tick, y.min])[0]);
    parts.push(`<path d="M${at} ${box.bottom}v6" stroke="${INK}"/>`, svgText(tickText(tick), at, box.bottom + 22, { size: 9.5, anchor: 'middle' }));
  }
  return [
    ...parts,
    `<path d="M${box.left} ${box.top}V${box.bottom}H${box.right}" fill="none" stroke="${INK}"/>`,
    svgText(chart.x.label, (box.left + box.right) / 2, box.bottom + 47, { size: 10.5, anchor: 'middle' }),
    svgText(chart.y.label, 24, (box.top + box.bottom) / 2, { size: 10.5, anchor: 'middle', rotate: -90 }),
  ];
}

function drawSeries({ points, color, line, marker }: Series, place: (point: Point) => Point): string {
  const placed = points.map(place).map(([x, y]) => [round(x), round(y)] as const);
  const parts: string[] = [];
  if (line && placed.length > 1) {
    const dash = line.dash ? ` stroke-dasharray="${line.dash}"` : '';
    parts.push(`<path d="M${placed.map(([x, y]) => `${x} ${y}`).join('L')}" fill="none" stroke="${color}" stroke-width="${line.width}" `
      + `stroke-opacity="${line.opacity ?? 1}" stroke-linejoin="round"${dash}/>`);
  }
  if (marker) {
    const fill = marker.hollow ? '#ffffff' : color;
    for (const [x, y] of placed) {
      parts.push(`<circle cx="${x}" cy="${y}" r="${marker.radius}" fill="${fill}" stroke="${color}" stroke-width="1.4" opacity="${marker.opacity ?? 1}"/>`);
    }
  }
  return parts.join('');
}

/** In the corner with the fewest points, on a white ground. */
function legend(series: readonly Series[], box: Box, place: (point: Point) => Point): string {
  const listed = series.filter(({ label }) => label !== undefined);
  if (listed.length === 0) return '';
  const size = 9.5;
  const row = 21;
  const width = Math.max(...listed.map(({ label }) => textWidth(label!, size))) + 58;
  const height = listed.length * row + 12;
  const corners = [box.top + 6, box.bottom - height - 6].flatMap((y) => [box.right - width - 6, box.left + 8].map((x) => [x, y] as const));
  const taken = series.flatMap((one) => coveredPoints(one).map(place));
  const hidden = ([left, top]: Point): number =>
    taken.filter(([x, y]) => x > left - 8 && x < left + width + 8 && y > top - 8 && y < top + height + 8).length;
  const [left, top] = corners.reduce((best, next) => (hidden(next) < hidden(best) ? next : best));
  const rows = listed.map(({ label, color, line, marker }, i) => {
    const y = round(top + 17 + i * row);
    const x = round(left);
    const stroke = line ? `<path d="M${x + 12} ${y}h24" stroke="${color}" stroke-width="${Math.max(line.width, 1.5)}" stroke-opacity="${line.opacity ?? 1}"${line.dash ? ` stroke-dasharray="${line.dash}"` : ''}/>` : '';
    const dot = marker ? `<circle cx="${x + 24}" cy="${y}" r="${marker.radius}" fill="${marker.hollow ? '#ffffff' : color}" stroke="${color}" stroke-width="1.4"/>` : '';
    return stroke + dot + svgText(label!, x + 46, y + 4.5, { size });
  });
  return `<rect x="${round(left)}" y="${round(top)}" width="${round(width)}" height="${height}" rx="4" fill="#ffffff" fill-opacity="0.9" stroke="${GRID}"/>${rows.join('')}`;
}

/** The points of a series, and some along its line. */
function coveredPoints({ points, line }: Series): readonly Point[] {
  if (!line) return points;
  return points.flatMap(([x, y], i): Point[] => {
    const [nextX, nextY] = points[i + 1] ?? [x, y];
    const pieces = Math.max(1, Math.round(24 / points.length));
    return Array.from({ length: pieces }, (_, k): Point => [x + ((nextX - x) * k) / pieces, y + ((nextY - y) * k) / pieces]);
  });
}

const round = (value: number): number => Math.round(value * 100) / 100;
