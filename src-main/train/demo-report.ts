// The demo's report: one HTML file that needs nothing else.
import type { CaptionedPicture } from './demo-pictures.ts';
import type { DemoSummary } from './demo-summary.ts';

export interface ReportPictures {
  readonly beforeAfter: Uint8Array;
  readonly loss: Uint8Array;
  readonly analysis: Uint8Array;
  readonly training: readonly CaptionedPicture[];
}

export function demoReport(summary: DemoSummary, pictures: ReportPictures): string {
  const { heldOut, training, seconds, adapter, name } = summary;
  const title = summary.ok ? `A style learnt in ${duration(seconds['train']!)}` : 'A training that is not to be trusted';
  const better = heldOut.percent === null ? 'n/a' : `${heldOut.percent < 0 ? '−' : '+'}${Math.abs(heldOut.percent).toFixed(1)} %`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Adora demo: ${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<p class="eyebrow">Adora demo</p>
<h1>${escape(title)}</h1>
<p class="lead">${training.pictures} pictures of the style &ldquo;${escape(name)}&rdquo; were ${summary.ok ? 'enough to teach it to' : 'shown to'} a small image model, as a ${escape(adapter)} adapter, on this machine.${summary.ok ? '' : ' Not all proofs of learning hold: see below which.'} Everything below was made by this one run.</p>
</header>
<ul class="facts">
${fact(better, `loss on ${heldOut.pictures} pictures it never saw, against the base model`)}
${fact(duration(seconds['total']!), `in all, ${duration(seconds['train']!)} of it training (${training.steps} steps)`)}
${fact(`${(summary.peakMemoryBytes / 1e9).toFixed(2)} GB`, 'most memory in use')}
${fact(percent(training.parameters / training.ofParameters), `of all numbers were trained (${million(training.parameters)} of ${million(training.ofParameters)}, the adapter included)`)}
</ul>

<section>
<h2>Before and after</h2>
<p>Each row is one prompt with one seed. <b>Left:</b> the base model. <b>Middle:</b> the same model with the ${escape(adapter)} merged in. <b>Right:</b> a real picture of the style with that caption. The prompts are not in the training set, and the pictures on the right were never trained on, so the middle column shows what was learnt and not what was copied.</p>
${image(pictures.beforeAfter, 'Rows of three pictures: base model, with adapter, real picture of the style')}
</section>

<section>
<h2>What it learnt from</h2>
<p>The whole training set: ${training.pictures} pictures with a caption each. Captions say what is to be seen and never name the style, so the style itself is what remains to be learnt. Point at a picture to read its caption.</p>
<div class="strip">${pictures.training.map(({ caption, png }) => `<img src="${dataUri(png)}" alt="${escape(caption)}" title="${escape(caption)}">`).join('')}</div>
</section>

<section>
<h2>How the loss fell</h2>
<p>The loss says how far the model&rsquo;s prediction is from the truth. A single step depends on the noise it happened to draw, hence the jagged line. The orange points are the honest measure: the same ${heldOut.pictures} held-out pictures, the same noise and the same timesteps each time.</p>
${image(pictures.loss, 'Loss over steps')}
${table(['step', 'loss on held-out pictures'], heldOut.course.map(({ step, loss }) => [step === 0 ? '0 (base model)' : String(step), loss === null ? 'n/a' : loss.toFixed(5)]))}
</section>

<section>
<h2>What kind of change it was</h2>
<p>Each row of a weight matrix, that is each output of a layer, has a length (magnitude) and a direction. ${axisText(summary.axis)}Each point is one layer at one checkpoint: how far its directions turned, and how much its lengths changed. The DoRA paper (Liu et al. 2024) found that full fine-tuning tends to change one <i>or</i> the other (a falling line) while LoRA changes both together (a rising line), and DoRA falls again, if less. Over these ${summary.analysis.points} points the correlation is <b>${summary.analysis.correlation === null ? 'not defined' : summary.analysis.correlation.toFixed(2)}</b>${courseText(summary.analysis.correlation)}. One run on one small model illustrates the measure; it proves nothing about the methods.</p>
${image(pictures.analysis, 'Change of magnitude against change of direction')}
</section>

<section>
<h2>Proof of learning</h2>
<p>A run that changes nothing, or blows up, must not look like a success. These checks are made in every training.</p>
<ul class="checks">${summary.verdicts.map(({ ok, text }) => `<li class="${ok ? 'ok' : 'bad'}"><b>${ok ? 'Passed' : 'Failed'}</b> ${escape(text)}</li>`).join('')}</ul>
</section>

<section>
<h2>Files</h2>
<p>All of them lie beside this report.</p>
${table(['file', 'size', 'what it is'], summary.files.map(({ path, bytes }) => [`<code>${escape(path)}</code>`, size(bytes), escape(describe(path, summary))]))}
</section>

<section>
<h2>How to repeat it</h2>
<p>The same program, seed and processor give the same adapter and the same pictures again. The job of this run is <code>run/job.json</code>; change a copy of it and start <code>npm run adora -- train</code>.</p>
${table(['setting', 'value'], [
    ['adapter', `${escape(adapter)}, rank ${training.rank}, layers: ${escape(training.targets)}`],
    ['training', `${training.steps} steps of ${training.batch} pictures, ${escape(training.optimizer)}, learning rate ${training.learningRate}, seed ${summary.seeds.training}`],
    ['pictures', `${escape(summary.sampling.sampler)}, ${summary.sampling.steps} steps, guidance ${summary.sampling.guidance}, seeds ${summary.seeds.pictures.join(', ')}`],
    ['time', Object.entries(seconds).map(([part, value]) => `${escape(part)} ${value.toFixed(1)} s`).join(', ')],
    ['speed', `${training.secondsPerStep.toFixed(3)} s per step, ${percent(training.shareOutsideRuntime)} of it outside of ONNX Runtime`],
    ['machine', escape(`${summary.machine.processor}, ${summary.machine.threads} threads, ${summary.machine.system}; device ${summary.machine.device}, ${summary.machine.dtype}`)],
    ['versions', Object.entries(summary.versions).map(([part, value]) => escape(`${part} ${value}`)).join(', ')],
  ])}
</section>
</main>
</body>
</html>
`;
}

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const dataUri = (png: Uint8Array): string => `data:image/png;base64,${Buffer.from(png).toString('base64')}`;
const image = (png: Uint8Array, alt: string): string => `<figure><img src="${dataUri(png)}" alt="${escape(alt)}"></figure>`;
const fact = (value: string, text: string): string => `<li><strong>${escape(value)}</strong><span>${escape(text)}</span></li>`;

/** Cells are HTML. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const body = rows.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('');
  return `<table><thead><tr>${head.map((cell) => `<th>${cell}</th>`).join('')}</tr></thead><tbody>${body}</tbody></table>`;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const million = (count: number): string => `${(count / 1e6).toFixed(2)} M`;

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} seconds`;
  return `${Math.floor(seconds / 60)} min ${String(Math.round(seconds % 60)).padStart(2, '0')} s`;
}

function size(bytes: number): string {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** The analysis looks at rows whatever was trained, so that methods can be compared. */
function axisText(axis: string | null): string {
  if (axis === null) return '';
  return axis === 'output' ? 'DoRA trains the two apart. '
    : 'This DoRA has a trained length for each column, that is each input, which is the form that ComfyUI and A1111 read; the lengths measured here are those of rows all the same. ';
}

/** What the paper would lead one to expect of DoRA is a falling line. */
function courseText(correlation: number | null): string {
  if (correlation === null) return '';
  return correlation > 0.2 ? ', a rising line' : correlation < -0.2 ? ', a falling line' : ', no clear line';
}

function describe(path: string, { adapter, approximationError }: DemoSummary): string {
  if (path === 'merged') return 'The model with the adapter merged in, as a folder that diffusers opens';
  if (path === 'analysis.json') return 'The numbers behind the picture of magnitude and direction';
  if (path.endsWith('.proof.json')) return 'What reading that file again showed: the deviation of each layer, by program';
  if (path.startsWith('adapter/') && path.endsWith('.json')) return 'What A1111 and Forge show about the adapter';
  if (path.startsWith('adapter/') && path.includes('-lora-')) {
    return `A plain LoRA in place of the ${adapter}, for programs that do not apply its magnitudes${approximationError === null ? '' : `; it leaves out ${percent(approximationError)} of the change`}`;
  }
  if (path.startsWith('adapter/')) return `The ${adapter} alone, to use with the base model`;
  return 'A picture of this report';
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1f2937; --soft: #5b6472; --ground: #f6f7f9; --card: #ffffff; --line: #e3e6ea; --accent: #1d4ed8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaf0; --soft: #a3adba; --ground: #12151b; --card: #1a1f28; --line: #2c3440; --accent: #8ab4ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 940px; margin: 0 auto; padding: 48px 20px 96px; }
.eyebrow { color: var(--accent); font-weight: 600; letter-spacing: .06em; text-transform: uppercase; font-size: 13px; margin: 0; }
h1 { font-size: clamp(28px, 5vw, 44px); line-height: 1.15; margin: 6px 0 12px; letter-spacing: -.02em; }
h2 { font-size: 22px; margin: 0 0 8px; letter-spacing: -.01em; }
.lead { font-size: 18px; color: var(--soft); max-width: 44em; margin: 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 26px 28px; margin-top: 22px; }
section > p { max-width: 46em; }
p { margin: 0 0 14px; }
.facts { list-style: none; margin: 28px 0 0; padding: 0; display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 14px; }
.facts li { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 16px 18px; }
.facts strong { display: block; font-size: 26px; line-height: 1.2; letter-spacing: -.01em; }
.facts span { color: var(--soft); font-size: 14px; line-height: 1.4; display: block; margin-top: 4px; }
figure { margin: 0; background: #ffffff; border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
figure img { display: block; width: 100%; height: auto; }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(88px, 1fr)); gap: 8px; }
.strip img { width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 8px; display: block; }
table { border-collapse: collapse; width: 100%; margin-top: 16px; font-size: 14.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 8px 12px 8px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 600; }
tr:last-child td { border-bottom: 0; }
code { font: 13.5px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.checks { list-style: none; padding: 0; margin: 0; }
.checks li { padding: 10px 14px; border-radius: 10px; margin-top: 8px; border: 1px solid var(--line); }
.checks .ok b { color: #15803d; } .checks .bad b { color: #dc2626; }
@media (prefers-color-scheme: dark) { .checks .ok b { color: #4ade80; } .checks .bad b { color: #f87171; } }
`;
