// docs/comparison.md and its pictures from the outcomes so far.
import { join } from 'node:path';
import { magnitudeDirectionChart, signed } from '../../src-main/analysis/charts/magnitude-direction-chart.ts';
import { xyChart, type Point, type Series } from '../../src-main/analysis/charts/xy-chart.ts';
import { kindOf, summarizeChanges } from '../../src-main/analysis/magnitude-direction.ts';
import { deviation, mean } from '../../src-main/analysis/statistics.ts';
import { makeFolder, writeFileAtomic } from '../../src-main/files/atomic-write.ts';
import { renderSvg } from '../../src-main/files/render-svg.ts';
import type { Method, Outcome, Sweep } from './sweep.ts';

/** All seeds of one method at one learning rate. */
interface Cell {
  readonly method: Method;
  readonly rate: number;
  readonly runs: readonly Outcome[];
  readonly losses: readonly number[];
}

export async function writeReport(folder: string, sweep: Sweep, outcomes: readonly Outcome[], planned: number): Promise<void> {
  await makeFolder(folder);
  const cells = sweep.methods.flatMap((method) => method.learningRates.map((rate): Cell => {
    const runs = outcomes.filter((one) => one.method === method.name && one.rate === rate);
    return { method, rate, runs, losses: runs.flatMap(({ loss }) => (loss === null ? [] : [loss])) };
  })).filter(({ runs }) => runs.length > 0);
  const best = sweep.methods.flatMap((method) => bestOf(cells.filter((cell) => cell.method === method)) ?? []);
  if (best.length === 0) return;
  await writeFileAtomic(join(folder, 'comparison-loss.png'), await renderSvg(lossPicture(sweep, cells, outcomes), 1.5));
  await writeFileAtomic(join(folder, 'comparison-magnitude-direction.png'), await renderSvg(changePicture(best), 1.5));
  await writeFileAtomic(join(folder, 'comparison.md'), text(sweep, cells, best, outcomes, planned));
}

/** The learning rate with the lowest mean loss; one at which a seed failed does not count while others are left. */
function bestOf(cells: readonly Cell[]): Cell | null {
  const usable = cells.filter(({ losses }) => losses.length > 0);
  const whole = usable.filter(({ losses, runs }) => losses.length === runs.length);
  return (whole.length > 0 ? whole : usable).reduce<Cell | null>((lowest, cell) => (lowest === null || mean(cell.losses) < mean(lowest.losses) ? cell : lowest), null);
}

function lossPicture(sweep: Sweep, cells: readonly Cell[], outcomes: readonly Outcome[]): string {
  const rates = sweep.methods.flatMap(({ learningRates }) => learningRates);
  const base = outcomes.find((one) => one.base !== null)?.base ?? 0;
  const series = sweep.methods.flatMap((method): Series[] => {
    const own = cells.filter((cell) => cell.method === method && cell.losses.length > 0);
    return [
      { label: method.name, color: method.color, points: own.map(({ rate, losses }): Point => [rate, mean(losses)]), line: { width: 2.4 } },
      { color: method.color, points: own.flatMap(({ rate, losses }) => losses.map((loss): Point => [rate, loss])), marker: { radius: 3.6, opacity: 0.7 } },
    ];
  });
  return xyChart({
    title: 'Loss on held-out pictures after training',
    note: 'Points are single seeds, lines their means; the dashed line is the base model.',
    x: { label: 'learning rate', isLog: true }, y: { label: 'mean squared error' },
    series: [...series, { label: 'base model', color: '#6b7280', points: [[Math.min(...rates), base], [Math.max(...rates), base]], line: { width: 1.5, dash: '5 4' } }],
  });
}

const changePicture = (best: readonly Cell[]): string =>
  magnitudeDirectionChart('Magnitude against direction, at the best learning rate of each method', best.map(({ method, runs }) => ({ label: method.name, color: method.color, points: runs.flatMap(({ points }) => points) })));

function text(sweep: Sweep, cells: readonly Cell[], best: readonly Cell[], outcomes: readonly Outcome[], planned: number): string {
  const base = outcomes.find((one) => one.base !== null)?.base ?? NaN;
  const state = outcomes.length === planned ? `${planned} runs.` : `**Unfinished: ${outcomes.length} of ${planned} runs.**`;
  return `# LoRA, DoRA and full fine-tuning on the starter model

Made by \`npm run tool compare\` from \`assets/recipes/compare-lora-dora-full\`. ${state} One style (24 pictures), the same
layers, steps and batches for all; seeds ${sweep.seeds.join(', ')}. The loss is measured on 8 held-out pictures with the same noise and
timesteps in every run; the base model has ${base.toFixed(5)}.

## Loss on held-out pictures

![Loss over learning rate](comparison-loss.png)

${table(['method', 'learning rate', 'loss (mean ± deviation over seeds)', 'against base', 'runs', 'failed'], cells.map((cell) => [
    `${cell.method.name}${best.includes(cell) ? ' (best)' : ''}`, String(cell.rate), spread(cell.losses), cell.losses.length > 0 ? percent(mean(cell.losses) / base - 1) : '',
    String(cell.runs.length), String(cell.runs.length - cell.losses.length),
  ]))}

${verdict(best)}

## Cost

${table(['method', 'trained numbers', 's/step'], sweep.methods.flatMap((method) => {
    const own = outcomes.filter((one) => one.method === method.name && one.seconds !== null);
    return own.length === 0 ? [] : [[method.name, `${((own[0]!.parameters ?? 0) / 1e6).toFixed(2)} M`, mean(own.map(({ seconds }) => seconds!)).toFixed(3)]];
  }))}

Times are those of the machine and whatever else it did; see the benchmarks for measured ratios.

## Change of magnitude and direction

For each layer and checkpoint: ΔD, the mean over rows of 1 − cos between the trained and the base weight, and ΔM, the mean
change of the rows' norms. The DoRA paper (Liu et al. 2024, figure 2) reports correlations of −0.62 for full fine-tuning,
+0.83 for LoRA and −0.31 for DoRA, over the query matrices of VL-BART. Here, at each method's best learning rate:

![Magnitude against direction](comparison-magnitude-direction.png)

${table(['method', 'ΔM with ΔD, by seed', 'ΔM / m with ΔD, by seed', 'slope of ΔM / m', 'query matrices only, by seed', 'mean ΔD', 'mean ΔM / m'], best.map(changeRow))}

${contrast(best)}

## What this does not say

- One small model, one style, one optimizer. It shows what the methods do here, not which is better in general.
- The learning rate is chosen on the pictures that the result is reported on, for all methods alike.
- Correlations over layers mix layers of different kind and size, and points of one run are not independent; the paper's
  figure has that property too. Its sign, not its size, is what can be compared.
`;
}

function changeRow({ method, runs }: Cell): string[] {
  const done = runs.filter(({ points }) => points.length > 0);
  const queries = done.map(({ points }) => summarizeChanges(points.filter(({ layer }) => kindOf(layer) === 'to_q')));
  const all = done.map(({ points }) => summarizeChanges(points));
  const list = (values: readonly (number | null)[]): string => values.map((value) => (value === null ? 'n/a' : signed(value))).join(', ');
  return [
    method.name, list(all.map(({ correlation }) => correlation)), list(all.map(({ relativeCorrelation }) => relativeCorrelation)),
    list(all.map(({ relativeLine }) => relativeLine?.slope ?? null)), list(queries.map(({ correlation }) => correlation)),
    mean(all.map(({ meanDirection }) => meanDirection)).toExponential(2), mean(all.map(({ meanRelativeMagnitude }) => meanRelativeMagnitude)).toExponential(2),
  ];
}

/** Says no more than the numbers do. */
function verdict(best: readonly Cell[]): string {
  const sorted = [...best].sort((a, b) => mean(a.losses) - mean(b.losses));
  const [first, second] = sorted;
  if (!first || !second) return '';
  const gap = mean(second.losses) - mean(first.losses);
  const noise = Math.max(deviation(first.losses), deviation(second.losses));
  const order = sorted.map(({ method, losses }) => `${method.name} ${mean(losses).toFixed(5)}`).join(', ');
  const seeds = Math.min(first.losses.length, second.losses.length);
  if (seeds < 2) return `At the best learning rate of each: ${order}. With one seed each, nothing can be said about the order.`;
  return `At the best learning rate of each: ${order}. The gap between the first two is ${gap.toFixed(5)}; single seeds deviate by ${noise.toFixed(5)}. ` +
    (gap > 2 * noise ? 'It is larger than twice that, so the order of the two holds here.' : 'It is not larger than twice that, so these runs do not tell the two apart.');
}

function contrast(best: readonly Cell[]): string {
  const texts = best.map(({ method, runs }) => {
    const signs = runs.flatMap(({ points }) => summarizeChanges(points.filter(({ layer }) => kindOf(layer) === 'to_q')).correlation ?? []).map(Math.sign);
    const positive = signs.filter((sign) => sign > 0).length;
    return `${method.name}: ${positive} of ${signs.length} seeds positive`;
  });
  return `Sign of the correlation over query matrices, the paper's own choice: ${texts.join('; ')}.`;
}

const percent = (share: number): string => `${share < 0 ? '−' : '+'}${Math.abs(100 * share).toFixed(1)} %`;
const spread = (values: readonly number[]): string => (values.length === 0 ? 'failed' : `${mean(values).toFixed(5)} ± ${deviation(values).toFixed(5)}`);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
