import { describe, expect, test } from 'vitest';

import { issueLine } from '../../src-main/contract/issue.ts';
import { defineFields } from '../../src-main/contract/fields.ts';
import { jobSchema } from '../../src-main/contract/job.ts';
import { jobVersion, migrations } from '../../src-main/contract/migrations.ts';
import { jobJsonSchema, parseJob, type CatalogFields } from '../../src-main/contract/parse-job.ts';

const number = (value: number, min: number, max: number) =>
  ({ kind: 'number', default: value, min, max, label: 'Number', help: 'A number.' }) as const;

const catalog: CatalogFields = {
  adapter: {
    dora: defineFields({ rank: number(16, 1, 1024), alpha: number(16, 0, 4096) }),
    full: defineFields({}),
  },
  optimizer: { adamw: defineFields({ learningRate: number(1e-4, 0, 1) }) },
  schedule: { constant: defineFields({}), cosine: defineFields({ floor: number(0, 0, 1) }) },
  objectives: ['epsilon', 'v'],
  samplers: ['ddim', 'euler'],
};

const minimal = { version: 1, base: { model: 'models/base' }, data: { folders: [{ path: 'images' }] } };

function issuesOf(raw: unknown): readonly string[] {
  const result = parseJob(raw, catalog);
  return result.ok ? [] : result.issues.map(issueLine);
}

describe('parseJob', () => {
  test('fills in every default of a minimal job', () => {
    const result = parseJob(minimal, catalog);
    if (!result.ok) throw new Error(result.issues.map(issueLine).join('\n'));
    expect(result.job.adapter).toEqual({
      kind: 'dora', targets: 'attention+feed-forward', textEncoder: false, rank: 16, alpha: 16,
    });
    expect(result.job.optimizer).toEqual({ kind: 'adamw', learningRate: 1e-4 });
    expect(result.job.data.buckets).toEqual({ enabled: true, step: 'auto', minAspect: 0.5, maxAspect: 2 });
    expect(result.job.train.steps).toBe(1000);
    expect(result.notes).toEqual([]);
  });

  test('a completed job is a valid job and completing it again changes nothing', () => {
    const once = parseJob(minimal, catalog);
    if (!once.ok) throw new Error('refused');
    expect(parseJob(JSON.parse(JSON.stringify(once.job)), catalog)).toEqual(once);
  });

  test.each([
    [{ ...minimal, trian: {} }, "trian: unknown key. Did you mean 'train'?"],
    [{ ...minimal, train: { step: 5 } }, "train.step: unknown key. Did you mean 'steps'?"],
    [{ ...minimal, data: { folders: [{ path: 'a', repeat: 2 }] } },
      "data.folders[0].repeat: unknown key. Did you mean 'repeats'?"],
    [{ ...minimal, data: { folders: [{ path: 'a' }], caption: { dorpout: 0.1 } } },
      "data.caption.dorpout: unknown key. Did you mean 'dropout'?"],
    [{ ...minimal, data: { folders: [] } }, 'data.folders: '],
    [{ version: 1, data: { folders: [{ path: 'a' }] } }, 'base: missing.'],
    [{ ...minimal, adapter: { rnak: 3 } }, "adapter.rnak: unknown key. Did you mean 'rank'?"],
    [{ ...minimal, adapter: { targest: 'linear' } }, "adapter.targest: unknown key. Did you mean 'targets'?"],
    [{ ...minimal, train: { learningRate: 1e-4 } }, "train.learningRate: unknown key. Did you mean 'optimizer.learningRate'?"],
    [{ ...minimal, steps: 100 }, "steps: unknown key. Did you mean 'train.steps' or 'preview.steps'?"],
    [{ ...minimal, optimizer: { rank: 4 } }, "optimizer.rank: unknown key. Did you mean 'adapter.rank'?"],
    [{ ...minimal, adapter: { rank: 9999 } }, 'adapter.rank: 9999 is above the largest allowed value 1024.'],
    [{ ...minimal, adapter: { kind: 'dorra' } }, "adapter.kind: 'dorra' is not known. Did you mean 'dora'?"],
    [{ ...minimal, objective: { kind: 'epsilom' } }, "objective.kind: 'epsilom' is not known. Did you mean 'epsilon'?"],
    [{ ...minimal, preview: { sampler: 'eular' } }, "preview.sampler: 'eular' is not known. Did you mean 'euler'?"],
    [{ ...minimal, train: { device: 'cdua' } },
      'train.device: must be one of auto, cpu, cuda, dml, webgpu, not "cdua". Did you mean \'cuda\'?'],
    [{ ...minimal, train: { batch: 0 } }, 'train.batch: '],
    [{ ...minimal, data: { folders: [{ path: 'a' }], resolution: 'big' } }, `data.resolution: must be 'auto', a number or a list, not "big".`],
    [{ ...minimal, data: { folders: [{ path: 'a' }], resolution: -4 } }, 'data.resolution: too small'],
    [{ ...minimal, schedule: { warmup: 2000 } }, 'schedule.warmup: 2000 steps of warm-up must be fewer'],
    [{ ...minimal, data: { folders: [{ path: 'a', regularization: true }] } }, 'data.folders: every folder is a'],
    [{ base: minimal.base, data: minimal.data }, 'version: missing.'],
    [{ ...minimal, version: 99 }, 'version: 99 was written by a newer Adora'],
    [[], 'a job is an object'],
  ])('case %# is refused with its place and the remedy', (raw, message) => {
    const issues = issuesOf(raw);
    expect(issues).toHaveLength(1);
    expect(issues[0]).toContain(message);
  });

  test('reports every mistake at once', () => {
    expect(issuesOf({ ...minimal, train: { step: 1, batches: 2 }, preview: { width: 'wide' } })).toHaveLength(3);
  });

  test('keys of Object.prototype are no settings', () => {
    expect(issuesOf({ ...minimal, adapter: { kind: 'constructor' } })[0]).toContain('is not known');
    expect(issuesOf(JSON.parse('{"version":1,"base":{"model":"m"},"data":{"folders":[{"path":"a"}]},"toString":1}')))
      .toHaveLength(1);
  });
});

describe('migrations', () => {
  test('lead from 0 to the current version without a gap', () => {
    expect(migrations.map(({ from, to }) => [from, to])).toEqual(
      Array.from({ length: jobVersion }, (_, version) => [version, version + 1]),
    );
  });

  test('a pre-release job reads as its present form', () => {
    const old = {
      version: 0, model: 'models/base', network: { kind: 'dora', rank: 8 },
      data: { folder: 'images' }, train: { learningRate: 0.001, steps: 7 },
    };
    const before = structuredClone(old);
    const result = parseJob(old, catalog);
    if (!result.ok) throw new Error(result.issues.map(issueLine).join('\n'));
    expect(old).toEqual(before);
    expect(result.notes).toHaveLength(1);
    expect(result.job.version).toBe(1);
    expect(result.job.base.model).toBe('models/base');
    expect(result.job.adapter['rank']).toBe(8);
    expect(result.job.data.folders).toEqual([{ path: 'images', regularization: false }]);
    expect(result.job.optimizer['learningRate']).toBe(0.001);
    expect(result.job.train.steps).toBe(7);
  });
});

describe('jobJsonSchema', () => {
  test('knows the keys, their help and the settings of each kind', () => {
    const schema = JSON.parse(JSON.stringify(jobJsonSchema(catalog))) as {
      required: string[];
      properties: Record<string, {
        properties: Record<string, { description?: string; enum?: string[]; anyOf?: unknown[] }>;
        allOf: { if: unknown; then: { properties: Record<string, unknown> } }[];
      }>;
    };
    expect(schema.required.sort()).toEqual(['base', 'data', 'version']);
    expect(Object.keys(schema.properties)).toEqual(Object.keys(jobSchema.shape));
    expect(schema.properties['adapter']?.properties['kind']?.enum).toEqual(['dora', 'full']);
    expect(schema.properties['adapter']?.allOf[0]?.then.properties['rank']).toMatchObject({ maximum: 1024 });
    expect(schema.properties['preview']?.properties['sampler']?.enum).toEqual(['ddim', 'euler']);
    expect(schema.properties['train']?.properties['clip']?.description).toMatch(/norm/);
  });
});

test('mistakes of the schema and of catalog choices are told together', () => {
  const issues = issuesOf({
    ...minimal, train: { steps: 0, device: 'gpu' }, adapter: { rnak: 3, targets: 'attenton' }, optimizer: { kind: 'adamv' }, schedule: { kind: 'cosine', floor: 7 },
    objective: { kind: 'x0' }, preview: { sampler: 'eular' },
  });
  for (const text of [/^train\.steps: /, /^train\.device: .* Did you mean 'auto' or 'cuda' or 'webgpu'\?/, /^adapter\.targets: .*'attention'/, /^adapter\.rnak: .*'rank'/,
    /^optimizer\.kind: .*'adamw'/, /^schedule\.floor: 7 is above/, /^objective\.kind: 'x0'/, /^preview\.sampler: .*'euler'/]) {
    expect(issues.filter((issue) => text.test(issue)), String(text)).toHaveLength(1);
  }
  expect(issues).toHaveLength(8);
});
