// Makes the starter model from nothing: draws its pictures, writes its vocabulary, trains the autoencoder, then denoiser
// and text encoder, then the decoder once more, and puts the result into assets/starter. Every piece can be interrupted and goes on where it was.
//   npm run tool starter [-- draw | autoencoder | denoiser | longer | decoder | install]
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readJobFile } from '../src-main/app/job-file.ts';
import { catalogFields } from '../src-main/catalog/index.ts';
import { buildClipVocabulary } from './vocabulary/clip-vocabulary.ts';
import { writeFileAtomic } from '../src-main/files/atomic-write.ts';
import { runJob } from '../src-main/train/run-job.ts';
import { punctuation, vocabulary } from './scenes/caption.ts';
import { drawFolder } from './scenes/draw-folder.ts';
import { styleNames } from './scenes/styles/index.ts';

const BUILD = join('build', 'starter');
const RECIPE = join('assets', 'recipes', 'starter');
const PLAIN_PICTURES = 8000;
const STYLED_PICTURES = 400;
/** Longest prompt in tokens, start and end included. */
const TOKENS = 40;

async function draw(): Promise<void> {
  await drawFolder({ style: 'plain', count: PLAIN_PICTURES, seed: 1, size: 64, out: join(BUILD, 'plain') });
  // The autoencoder must be able to show the styles too; the denoiser never sees them.
  for (const style of styleNames.filter((name) => name !== 'plain')) {
    await drawFolder({ style, count: STYLED_PICTURES, seed: 2, size: 64, out: join(BUILD, 'styles'), prefix: `${style}-` });
  }
  await writeTokenizer(join(RECIPE, 'model'));
}

async function writeTokenizer(model: string): Promise<void> {
  const { vocab, merges } = buildClipVocabulary([...vocabulary, ...punctuation]);
  const [start, end] = ['<|startoftext|>', '<|endoftext|>'];
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  mkdirSync(join(model, 'tokenizer'), { recursive: true });
  await writeFileAtomic(join(model, 'tokenizer', 'vocab.json'), JSON.stringify(vocab));
  await writeFileAtomic(join(model, 'tokenizer', 'merges.txt'), merges);
  await writeFileAtomic(join(model, 'tokenizer', 'tokenizer_config.json'), json({
    tokenizer_class: 'CLIPTokenizer', bos_token: start, eos_token: end, pad_token: end, unk_token: end, model_max_length: TOKENS,
  }));
  const config = join(model, 'text_encoder', 'config.json');
  await writeFileAtomic(config, json({
    ...(JSON.parse(readFileSync(config, 'utf8')) as object),
    vocab_size: Object.keys(vocab).length, max_position_embeddings: TOKENS,
    bos_token_id: vocab[start], eos_token_id: vocab[end], pad_token_id: vocab[end],
  }));
}

async function train(recipe: string, name: string): Promise<void> {
  const runFolder = join(BUILD, name);
  const resume = existsSync(join(runFolder, 'job.json'));
  let isStopped = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (isStopped = true));
  const { job } = await readJobFile(join(RECIPE, recipe), catalogFields(), []);
  const end = await runJob({
    job, runFolder, resume,
    cacheFolder: join(BUILD, 'cache'),
    control: { shouldStop: () => isStopped },
    onEvent: (event) => {
      if (event.kind === 'step' && event.step % 10 !== 0) return;
      if (event.kind === 'phase' && event.done % 500 !== 0) return;
      process.stdout.write(`${JSON.stringify(event)}\n`);
    },
  });
  if (end === 'interrupted') process.exit(130);
}

function install(): void {
  const target = join('assets', 'starter');
  rmSync(target, { recursive: true, force: true });
  cpSync(join(BUILD, 'decoder', 'exports', 'model'), target, { recursive: true });
}

const pieces = {
  draw,
  autoencoder: () => train('1-autoencoder.toml', 'autoencoder'),
  denoiser: () => train('2-denoiser.toml', 'denoiser'),
  longer: () => train('3-denoiser-longer.toml', 'denoiser-longer'),
  decoder: () => train('4-decoder.toml', 'decoder'),
  install: async () => install(),
};
const wanted = process.argv.slice(2);
for (const [name, make] of Object.entries(pieces)) if (wanted.length === 0 || wanted.includes(name)) await make();
