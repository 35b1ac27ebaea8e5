import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeSafetensors } from '../../src-main/files/safetensors-write.ts';
import { f32 } from '../../src-main/runtime/runtime.ts';
import { checkValues, listCheckpoints, loadCheckpoint, newestCheckpoint, pruneCheckpoints, saveCheckpoint, type LoopState } from '../../src-main/train/checkpoint.ts';
import { EventLog, openRunFolder, readEvents, trainedSeconds } from '../../src-main/train/run-folder.ts';
import { refusal, refusalOf, temporaryFolder } from '../files/temporary.ts';
import { toyJob } from './toy.ts';

const stateAt = (step: number): LoopState => ({ step, lossScale: 512, goodSteps: 3, skipped: 1, firstProbe: 0.5, lastProbe: 0.25, dataset: 'abc' });
const values = new Map([['w', f32(Float32Array.of(1, 2, 3), [1, 3])], ['average:w', f32(Float32Array.of(4, 5, 6), [1, 3])], ['shared:d', f32(Float32Array.of(7), [])]]);
const save = (folder: string, step: number): Promise<string> => saveCheckpoint(folder, { state: stateAt(step), values });

describe('a checkpoint', () => {
  test('is read as it was written', async () => {
    const path = await save(temporaryFolder(), 12);
    expect(path).toMatch(/step-000012\.safetensors$/);
    const { state, values: read } = loadCheckpoint(path);
    expect(state).toEqual(stateAt(12));
    expect(new Map([...read].sort())).toEqual(new Map([...values].sort()));
  });

  test('of equal content has equal bytes', async () => {
    const [first, second] = [await save(temporaryFolder(), 1), await save(temporaryFolder(), 1)];
    expect(readFileSync(second)).toEqual(readFileSync(first));
  });

  test('of something else is refused', async () => {
    const folder = temporaryFolder();
    const write = async (metadata: Record<string, string>): Promise<string> => {
      const path = join(folder, 'x.safetensors');
      await writeSafetensors(path, [{ name: 'w', dtype: 'f32', shape: [1], data: new Float32Array(1) }], metadata);
      return path;
    };
    for (const metadata of [{}, { 'adora.checkpoint': '{"step": ' }, { 'adora.checkpoint': 'null' }, { 'adora.checkpoint': '{"step": "7"}' }]) {
      const path = await write(metadata as Record<string, string>);
      refusal('checkpoint.foreign', () => loadCheckpoint(path));
    }
  });
});

describe('the checkpoints of a run', () => {
  test('are listed by step, other files aside', async () => {
    const folder = temporaryFolder();
    for (const step of [900_000, 2_000_000, 30]) await save(folder, step);
    for (const name of ['.step-000031.safetensors.1-0.tmp', 'notes.txt', 'step-31.safetensors']) writeFileSync(join(folder, name), '');
    expect(listCheckpoints(folder).map(({ step }) => step)).toEqual([30, 900_000, 2_000_000]);
    expect(listCheckpoints(join(folder, 'none'))).toEqual([]);
  });

  test('the newest that can be read counts; the broken ones are named', async () => {
    const folder = temporaryFolder();
    const paths = [await save(folder, 1), await save(folder, 2), await save(folder, 3)];
    writeFileSync(paths[2]!, readFileSync(paths[2]!).subarray(0, 200));
    const { checkpoint, broken } = newestCheckpoint(folder);
    expect(checkpoint?.state.step).toBe(2);
    expect(broken).toEqual([paths[2]]);
    writeFileSync(paths[1]!, '');
    writeFileSync(paths[0]!, 'no checkpoint at all');
    expect(newestCheckpoint(folder)).toEqual({ checkpoint: null, broken: paths.toReversed() });
  });

  test('all but the newest are deleted, and never one that is newer than what was just saved', async () => {
    const folder = temporaryFolder();
    for (const step of [1, 2, 3, 4, 9]) await save(folder, step);
    pruneCheckpoints(folder, 2, 4);
    expect(listCheckpoints(folder).map(({ step }) => step)).toEqual([3, 4, 9]);
    pruneCheckpoints(folder, 1, 9);
    expect(listCheckpoints(folder).map(({ step }) => step)).toEqual([9]);
  });

  test('must hold what the job trains', () => {
    const tensor = (name: string, shape: number[]) => ({ name, shape });
    checkValues({ values }, [tensor('w', [1, 3])]);
    expect(refusal('checkpoint.other-job', () => checkValues({ values }, [tensor('w', [2, 3])])).message).toContain('"w" is [1,3] there and [2,3] in the job');
    expect(refusal('checkpoint.other-job', () => checkValues({ values }, [tensor('new', [1])])).message).toContain('"new" is not in it');
  });
});

describe('the folder of a run', () => {
  test('is made with its job, once', async () => {
    const path = join(temporaryFolder(), 'deep', 'run');
    const folder = await openRunFolder(path, toyJob(), false);
    expect(readdirSync(path).sort()).toEqual(['.lock', 'checkpoints', 'exports', 'job.json', 'samples']);
    expect(JSON.parse(readFileSync(join(path, 'job.json'), 'utf8'))).toEqual(toyJob());
    await refusalOf('run.not-empty', () => openRunFolder(path, toyJob(), false));
    folder.release();
    expect(readdirSync(path).sort()).toEqual(['checkpoints', 'exports', 'job.json', 'samples']);
    const again = await openRunFolder(path, toyJob(), true);
    expect({ ...again, release: folder.release }).toEqual(folder);
    again.release();
  });

  test('belongs to one living process', async () => {
    const path = join(temporaryFolder(), 'run');
    const folder = await openRunFolder(path, toyJob(), false);
    const error = await refusalOf('run.in-use', () => openRunFolder(path, toyJob(), true, 0));
    expect(error.message).toContain(`(${process.pid}) is training in "${path}"`);
    // The other process ends while this one waits.
    setTimeout(() => folder.release(), 200);
    const second = await openRunFolder(path, toyJob(), true, 5000);
    second.release();
    // A process that was killed, one whose number is another's by now, and a lock that a crash left empty.
    const gone = spawnSync(process.execPath, ['-e', '']).pid;
    const host = hostname();
    const left = [JSON.stringify({ pid: gone, host, start: '1' }), '', ...(process.platform === 'linux' ? [JSON.stringify({ pid: process.pid, host, start: '1' })] : [])];
    for (const text of left) {
      writeFileSync(join(path, '.lock'), text);
      (await openRunFolder(path, toyJob(), true, 0)).release();
    }
    writeFileSync(join(path, '.lock'), JSON.stringify({ pid: gone, host: 'another machine', start: '' }));
    await refusalOf('run.in-use', () => openRunFolder(path, toyJob(), true, 0));
  });

  test('is refused when it is a file, or holds no run', async () => {
    const root = temporaryFolder();
    writeFileSync(join(root, 'file'), '');
    await refusalOf('run.not-a-folder', () => openRunFolder(join(root, 'file'), toyJob(), false));
    await refusalOf('files.not-a-folder', () => openRunFolder(join(root, 'file', 'run'), toyJob(), false));
    mkdirSync(join(root, 'empty'));
    await refusalOf('run.missing', () => openRunFolder(join(root, 'empty'), toyJob(), true));
    expect(readdirSync(join(root, 'empty'))).toEqual([]);
  });

  test('has a log whose numbers go on after a crash', () => {
    const folder = temporaryFolder();
    const seen: number[] = [];
    const log = (): EventLog => new EventLog(folder, ({ seq }) => seen.push(seq));
    const first = log();
    first.emit({ kind: 'paused', step: 1 });
    first.emit({ kind: 'phase', name: 'encode', done: 1, total: 2, unit: 'items' });
    first.emit({ kind: 'resumed', step: 1 });
    writeFileSync(join(folder, 'events.jsonl'), `${readFileSync(join(folder, 'events.jsonl'), 'utf8')}{"kind":"pro`);
    log().emit({ kind: 'probe', step: 2, loss: null });
    expect(seen).toEqual([0, 1, 2, 3]);
    expect(readEvents(folder).map(({ kind, seq }) => [kind, seq])).toEqual([['paused', 0], ['resumed', 2], ['probe', 3]]);
  });

  test('knows how long was trained, without the time between processes', () => {
    const at = (time: number, kind: string) => ({ kind, time }) as never;
    const events = [at(1000, 'started'), at(3000, 'step'), at(4000, 'checkpoint'), at(50_000, 'warning'), at(60_000, 'started'), at(61_500, 'step'), at(99_000, 'interrupted')];
    expect(trainedSeconds(events)).toBe(4.5);
    expect(trainedSeconds([])).toBe(0);
  });
});
