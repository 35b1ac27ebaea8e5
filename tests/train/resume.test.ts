// A run that is stopped in any way and goes on ends with the same bytes as one that was never stopped.
import { readdirSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rng } from '../../src-main/base/rng.ts';
import type { Job } from '../../src-main/contract/job.ts';
import { listCheckpoints } from '../../src-main/train/checkpoint.ts';
import { readEvents } from '../../src-main/train/run-folder.ts';
import { useCli } from './cli-child.ts';
import { filesOf, jobAt, usePlace } from './run.ts';
import { runToy, toyJob } from './toy.ts';

describe('the loop, stopped after every step', () => {
  const jobs: Record<string, Job> = {
    adamw: toyJob({ train: { saveEvery: 3, ema: 0.9 } }),
    lion: toyJob({ optimizer: { kind: 'lion', learningRate: 0.003 }, schedule: { kind: 'cosine', warmup: 2 }, train: { saveEvery: 3, accumulate: 2 } }),
    prodigy: toyJob({ optimizer: { kind: 'prodigy' }, train: { saveEvery: 0 } }),
    adafactor: toyJob({ optimizer: { kind: 'adafactor', learningRate: 0.01 }, train: { saveEvery: 2, clip: 0.1 } }),
  };

  test.each(Object.keys(jobs))('%s', async (name) => {
    const job = jobs[name]!;
    const whole = await runToy({ job });
    let folder: string | undefined;
    let last;
    for (let stop = 1; stop <= job.train.steps; stop++) {
      let done = 0;
      last = await runToy({
        job, ...(folder ? { folder } : {}),
        control: { shouldStop: () => stop < job.train.steps && done >= stop },
        onEvent: (event) => { if (event.kind === 'step') done = event.step; },
      });
      expect(last.end).toBe(stop < job.train.steps ? 'interrupted' : 'finished');
      folder = last.folder;
      expect(listCheckpoints(folder).at(-1)!.step).toBe(stop);
    }
    expect(last!.state).toEqual(whole.state);
    const end = 'step-000008.safetensors';
    expect(filesOf(folder!, ['.'])[end]).toBe(filesOf(whole.folder, ['.'])[end]);
  });
});

describe('the command line', () => {
  const place = usePlace();
  const cli = useCli(join(place.folder, 'home'));
  const folders = ['checkpoints', 'exports'];
  const job = (): string => {
    const file = join(place.folder, 'job.json');
    const made = jobAt(place, {
      adapter: { kind: 'dora', targets: 'attention', rank: 2, alpha: 2, dropout: 0.2 },
      train: { steps: 12, saveEvery: 1, keep: 3, ema: 0.9, checkpointing: true },
    });
    writeFileSync(file, JSON.stringify(made));
    return file;
  };

  test('killed at any moment, or interrupted, and resumed', async () => {
    const whole = join(place.folder, 'whole');
    const first = await cli.run(['train', job(), '--out', whole]);
    expect(first.code, first.error).toBe(0);

    const run = join(place.folder, 'run');
    // Somewhere: while programs are made, in a step, in the checkpoint after it.
    const pause = 1200 * rng(process.pid, 'kill').uniform();
    const killed = await cli.run(['train', job(), '--out', run], (event, kill) => {
      if (event.kind === 'step' && event.step === 5) kill('SIGKILL');
      if (event.kind === 'started') setTimeout(() => kill('SIGKILL'), pause);
    });
    expect(killed.signal).toBe('SIGKILL');

    // When the temporary file of a checkpoint appears.
    const writing = await cli.run(['train', '--resume', run], (event, kill) => {
      if (event.kind !== 'step' || event.step !== 6) return;
      const watcher = watch(join(run, 'checkpoints'), (_, name) => {
        if (!name?.endsWith('.tmp')) return;
        watcher.close();
        kill('SIGKILL');
      });
    });
    expect(writing.signal).toBe('SIGKILL');
    expect(writing.events.find(({ kind }) => kind === 'started')).toMatchObject({ fromStep: expect.toSatisfy((step: number) => step <= 5) as number });

    const interrupted = await cli.run(['train', '--resume', run], (event, kill) => { if (event.kind === 'step' && event.step === 8) kill('SIGINT'); });
    expect(interrupted.code).toBe(130);
    expect(interrupted.error).toContain('Stopping');
    const stop = interrupted.events.at(-1)!;
    expect(stop).toMatchObject({ kind: 'interrupted', path: run });
    expect(listCheckpoints(join(run, 'checkpoints')).at(-1)!.step).toBe((stop as { step: number }).step);

    const last = await cli.run(['train', '--resume', run]);
    expect(last.code, last.error).toBe(0);
    expect(filesOf(run, folders)).toEqual(filesOf(whole, folders));
    expect(Object.keys(filesOf(run, folders))).toHaveLength(7);

    const log = readEvents(run);
    expect(log.map(({ seq }) => seq)).toEqual(log.map(({ seq }) => seq).sort((a, b) => a - b));
    expect(log.at(-1)!.kind).toBe('finished');
    expect(readdirSync(join(run, 'checkpoints')).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  }, 300_000);
});
