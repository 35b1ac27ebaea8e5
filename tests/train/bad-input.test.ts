// What people hand in by mistake: one clear sentence through the command line, nothing half-written, nothing touched.
import type * as Fs from 'node:fs';
import type * as FsPromises from 'node:fs/promises';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { ExitCode } from '../../src-main/cli/exit-codes.ts';
import { catalogFields } from '../../src-main/catalog/index.ts';
import { encodeTensor } from '../../src-main/files/convert.ts';
import { openSafetensors } from '../../src-main/files/safetensors.ts';
import { writeSafetensors } from '../../src-main/files/safetensors-write.ts';
import type { RunJob } from '../../src-main/cli/commands/train.ts';
import { adora } from '../app/cli-harness.ts';
import { temporaryFolder } from '../files/temporary.ts';
import { runJob } from '../../src-main/train/run-job.ts';
import { filesOf, jobAt, train, usePlace, writePictures, type JobChanges, type Place } from './run.ts';

/** A fault of the file system: what is thrown when a path is written. */
const faults = vi.hoisted(() => ({ code: '', match: /$^/ as RegExp, fails: (path: unknown): void => void path }));
faults.fails = (path) => {
  if (faults.code !== '' && faults.match.test(String(path))) throw Object.assign(new Error(`${faults.code}: of this test`), { code: faults.code, path: String(path) });
};
vi.mock('node:fs/promises', async (importActual) => {
  const actual = await importActual<typeof FsPromises>();
  return {
    ...actual,
    open: async (...args: Parameters<typeof actual.open>) => {
      const file = await actual.open(...args);
      const write = file.write.bind(file);
      // The first bytes still fit.
      let room = 100;
      file.write = (async (bytes: Uint8Array, ...rest: number[]) => {
        room -= bytes.byteLength;
        if (room < 0) faults.fails(args[0]);
        return (write as (...all: unknown[]) => unknown)(bytes, ...rest);
      }) as typeof file.write;
      const writeFile = file.writeFile.bind(file);
      file.writeFile = async (...all) => {
        faults.fails(args[0]);
        return writeFile(...all);
      };
      return file;
    },
  };
});
vi.mock('node:fs', async (importActual) => {
  const actual = await importActual<typeof Fs>();
  const paths = new Map<number, unknown>();
  return {
    ...actual,
    mkdirSync: (...args: Parameters<typeof actual.mkdirSync>) => {
      faults.fails(args[0]);
      return actual.mkdirSync(...args);
    },
    openSync: (...args: Parameters<typeof actual.openSync>) => {
      const file = actual.openSync(...args);
      paths.set(file, args[0]);
      return file;
    },
    writeSync: (...args: [number, Uint8Array]) => {
      faults.fails(paths.get(args[0]));
      return actual.writeSync(...args);
    },
  };
});

const place = usePlace();
beforeAll(() => {
  vi.stubEnv('ADORA_HOME', join(place.folder, 'home'));
  return () => vi.unstubAllEnvs();
});

/** `adora train` on the real engine. */
async function command(at: Place, changes: JobChanges = {}, more: readonly string[] = []) {
  const folder = temporaryFolder();
  const job = join(folder, 'job.json');
  const run = join(folder, 'run');
  writeFileSync(job, JSON.stringify(jobAt(at, { adapter: { kind: 'lora', targets: 'attention', rank: 2, alpha: 2 }, ...changes })));
  const { code, out, error } = await adora(['train', job, '--out', run, ...more], { catalogFields: async () => catalogFields(), runJob: runJob as RunJob });
  return { code, out, error, run };
}

const everything = (folder: string): Record<string, string> => filesOf(folder, ['.']);

/** Runs a job that must be refused in one sentence, and leaves nothing. */
async function refused(at: Place, changes: JobChanges, sentence: RegExp, exitCode: ExitCode = 1): Promise<string> {
  const before = [at.model, ...(existsSync(at.pictures) ? [at.pictures] : [])].map(everything);
  const { code, error, run } = await command(at, changes);
  expect({ code, error }).toEqual({ code: exitCode, error: expect.stringMatching(/^adora: [^\n]+\.\n$/) as string });
  expect(error).toMatch(sentence);
  expect(existsSync(run), 'the folder of the run').toBe(false);
  expect([at.model, ...(existsSync(at.pictures) ? [at.pictures] : [])].map(everything)).toEqual(before);
  return error;
}

const withPictures = async (change: (folder: string) => void | Promise<unknown>): Promise<Place> => {
  const pictures = await writePictures(join(temporaryFolder(), 'set'), 3);
  await change(pictures);
  return { ...place, pictures };
};

const withModel = async (change: (root: string) => void | Promise<unknown>): Promise<Place> => {
  const model = join(temporaryFolder(), 'model');
  cpSync(place.model, model, { recursive: true });
  await change(model);
  return { ...place, model };
};

const unetFile = (root: string): string => join(root, 'unet', 'diffusion_pytorch_model.safetensors');

async function changeWeights(root: string, change: (key: string, values: Float32Array) => void): Promise<void> {
  const source = openSafetensors(unetFile(root));
  const tensors = [...source.tensors].map(([name, { shape }]) => {
    const values = source.readF32(name);
    change(name, values);
    return { name, dtype: 'f32' as const, shape, data: encodeTensor(values, 'f32', name) };
  });
  await writeSafetensors(unetFile(root), tensors);
}

describe('pictures', () => {
  test('a folder that is not there, or empty', async () => {
    await refused({ ...place, pictures: join(place.folder, 'nowhere') }, {}, /nowhere" does not exist: check the path/);
    const empty = join(place.folder, 'empty');
    mkdirSync(empty);
    await refused({ ...place, pictures: empty }, {}, /empty" holds no pictures .*: put pictures into it/);
  });

  test('files that are no pictures, or cut short: all are named', async () => {
    const at = await withPictures((folder) => {
      writeFileSync(join(folder, '0.png'), 'not a picture');
      writeFileSync(join(folder, '1.png'), '');
    });
    await refused(at, {}, /2 files of the data set cannot be used: .*0\.png.*1\.png.*: repair or remove them/);
    const cut = await withPictures((folder) => writeFileSync(join(folder, '2.png'), readFileSync(join(folder, '2.png')).subarray(0, -40)));
    await refused(cut, {}, /2\.png/);
  });

  test('one of 200 million pixels', async () => {
    const at = await withPictures((folder) => writeFileSync(join(folder, '0.png'), hugePng(20_000, 10_000)));
    await refused(at, {}, /0\.png" has 20000 x 10000 pixels, more than the 150 million that can be read: scale it down/);
  });

  test('without a caption are trained, and told', async () => {
    const at = await withPictures((folder) => rmSync(join(folder, '1.txt')));
    const { code, out, error } = await command(at, { train: { steps: 1, saveEvery: 0 } }, ['--json']);
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expect(out).toMatch(/"code":"dataset\.no-caption","text":"1 picture without caption, trained with an empty one: .*1\.png/);
  });
});

describe('models', () => {
  test('that are not there', async () => {
    await refused({ ...place, model: join(place.folder, 'none') }, {}, /There is no model at ".*none": give a checkpoint/);
  });

  test('of an unknown architecture', async () => {
    const at = await withModel((root) => writeFileSync(join(root, 'unet', 'config.json'), '{"_class_name": "SanaTransformer2DModel"}'));
    await refused(at, {}, /No known kind of model: .*SanaTransformer2DModel/);
  });

  test('whose file is cut short, or something else', async () => {
    await refused(await withModel((root) => writeFileSync(unetFile(root), readFileSync(unetFile(root)).subarray(0, -8))), {}, /unet/);
    await refused(await withModel((root) => writeFileSync(unetFile(root), 'a web page that says: log in')), {}, /unet/);
  });

  test('whose weights do not fit the configuration', async () => {
    const at = await withModel((root) => {
      const file = join(root, 'unet', 'config.json');
      writeFileSync(file, readFileSync(file, 'utf8').replace('"layers_per_block":1', '"layers_per_block":2'));
    });
    expect(await refused(at, {}, /weights of "unet" do not fit its configuration .*: \d+ missing: /)).toContain('Use the files that belong together');
  });

  test('with a tokenizer that is no JSON', async () => {
    await refused(await withModel((root) => writeFileSync(join(root, 'tokenizer', 'vocab.json'), '{"a": ')), {}, /"vocab\.json" of "tokenizer" in the model .* is not JSON: download/);
  });

  test('without the tokenizer', async () => {
    await refused(await withModel((root) => rmSync(join(root, 'tokenizer'), { recursive: true })), {}, /tokenizer/i);
  });
});

describe('settings', () => {
  test('a rank that no layer can have', async () => {
    await refused(place, { adapter: { kind: 'dora', targets: 'attention', rank: 64, alpha: 64 } }, /adapter\.rank = 64 is larger than both sides of the layer "unet\.[^"]+"/, 2);
  });

  test.skipIf(process.platform === 'darwin')('a device that is not there', async () => {
    const missing = process.platform === 'win32' ? 'cuda' : 'dml';
    await refused(place, { train: { device: missing } }, new RegExp(`The device "${missing}" is not available here .*: choose one of cpu.*, or "auto"`));
  });

  test('an output that is a file, or in use', async () => {
    const folder = temporaryFolder();
    const job = join(folder, 'job.json');
    writeFileSync(job, JSON.stringify(jobAt(place)));
    const run = (out: string) => adora(['train', job, '--out', out], { catalogFields: async () => catalogFields(), runJob: runJob as RunJob });
    expect(await run(job)).toMatchObject({ code: 2, error: expect.stringMatching(/job\.json" is a file: choose another --out/) as string });
    expect(await run(folder)).toMatchObject({ code: 2, error: expect.stringMatching(/already holds something: choose another --out, or --resume it/) as string });
    expect(readdirSync(folder)).toEqual(['job.json']);
    const resumed = await adora(['train', '--resume', place.pictures], { catalogFields: async () => catalogFields(), runJob: runJob as RunJob });
    expect(resumed).toMatchObject({ code: 2, error: expect.stringMatching(/^adora: .*pictures" holds no run, [^\n]+\.\n$/) as string });
  });
});

test('weights with NaN stop the run in one sentence', async () => {
  const at = await withModel((root) => changeWeights(root, (key, values) => {
    if (key === 'mid_block.resnets.0.conv1.weight') values[0] = Number.NaN;
  }));
  const { code, error, run } = await command(at, { train: { steps: 30 } });
  expect({ code, error }).toEqual({ code: 1, error: expect.stringMatching(/^adora: The loss \(NaN\) is not finite before the first step: "unet\.mid_block\.resnets\.0\.conv1\.weight" of the model [^\n]+\.\n$/) as string });
  // This one did begin; its log says why it ended.
  expect(readFileSync(join(run, 'events.jsonl'), 'utf8').trimEnd().split('\n').at(-1)).toContain('"code":"train.not-finite"');
});

describe('the disk', () => {
  const job = () => jobAt(place, { adapter: { kind: 'lora', targets: 'attention', rank: 2, alpha: 2 }, train: { steps: 4, saveEvery: 1, keep: 2 } });

  async function withFault<T>(code: string, match: RegExp, work: () => Promise<T>): Promise<T> {
    Object.assign(faults, { code, match });
    try {
      return await work();
    } finally {
      faults.code = '';
    }
  }

  test('that is full at a checkpoint ends the run; nothing is lost and it goes on later', async () => {
    const whole = await train(place, job());
    const folder = join(place.folder, 'full');
    const failed = withFault('ENOSPC', /checkpoints.*step-000003/, () => train(place, job(), { runFolder: folder }));
    await expect(failed).rejects.toMatchObject({ name: 'UserError', code: 'files.disk-full', message: expect.stringMatching(/step-000003\.safetensors": free some space .*; earlier files are untouched\.$/) as string });
    expect(readdirSync(join(folder, 'checkpoints'))).toEqual(['step-000001.safetensors', 'step-000002.safetensors']);
    expect(readFileSync(join(folder, 'events.jsonl'), 'utf8').trimEnd().split('\n').at(-1)).toContain('files.disk-full');
    await train(place, job(), { runFolder: folder, resume: true });
    expect(filesOf(folder)).toEqual(filesOf(whole.folder));
  });

  test.each([
    ['the log', /events\.jsonl$/], ['the curves', /tfevents/], ['the job', /job\.json/], ['the cache', /new-cache/],
  ])('that is full at %s ends the run in one sentence', async (_, match) => {
    const folder = join(temporaryFolder(), 'run');
    const failed = withFault('ENOSPC', match, () => train(place, job(), { runFolder: folder, cacheFolder: join(dirname(folder), 'new-cache') }));
    await expect(failed).rejects.toMatchObject({ name: 'UserError', code: 'files.disk-full' });
  });

  test('that is full at the export leaves the run to be finished later', async () => {
    const folder = join(temporaryFolder(), 'run');
    await expect(withFault('ENOSPC', /exports.*safetensors/, () => train(place, job(), { runFolder: folder }))).rejects.toMatchObject({ code: 'files.disk-full' });
    expect(readdirSync(join(folder, 'exports'))).toEqual([]);
    const { end, events } = await train(place, job(), { runFolder: folder, resume: true });
    expect(end).toBe('finished');
    expect(events.some(({ kind }) => kind === 'step')).toBe(false);
    expect(readdirSync(join(folder, 'exports')).filter((name) => name.endsWith('.safetensors'))).toHaveLength(2);
  });

  test('that has no room for folders, as /proc, says what to do', async () => {
    await expect(withFault('ENOENT', /run/, () => train(place, job(), { runFolder: join(temporaryFolder(), 'run') }))).rejects.toMatchObject({
      name: 'UserError', code: 'files.no-place', message: expect.stringMatching(/choose another folder\.$/) as string,
    });
  });

  test.each(['EACCES', 'EROFS', 'EPERM'])('that is read-only (%s) is refused at once', async (code) => {
    const folder = join(temporaryFolder(), 'run');
    await expect(withFault(code, /run/, () => train(place, job(), { runFolder: folder }))).rejects.toMatchObject({
      name: 'UserError', code: 'files.read-only', message: expect.stringMatching(/cannot be written, because .*: choose a folder that you may write to\.$/) as string,
    });
    expect(existsSync(folder)).toBe(false);
  });
});

/** A PNG that says that it is large and holds next to nothing. */
function hugePng(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, check]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', header), chunk('IDAT', Buffer.from([0x78, 0x9c, 3, 0, 0, 0, 0, 1])), chunk('IEND', Buffer.alloc(0))]);
}
