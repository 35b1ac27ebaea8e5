// The part of the API about checkpoints and adapters on disk.

import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { publishedName } from '../../catalog/adapter-header.ts';
import type { FileVerdict } from '../../catalog/programs.ts';
import type { AdapterEntry, ModelEntry, Output } from '../../contract/api.ts';
import { defaultSampler } from '../../contract/job.ts';
import type { Fact } from '../../contract/text.ts';
import type { ModelFacts, PaintRequest } from '../../contract/trainer.ts';
import { writeFileAtomic } from '../../files/atomic-write.ts';
import { modelName } from '../../files/paths.ts';
import { describeFile, describeFolder, type LibraryEntry } from '../library/entry.ts';
import { findPlaces } from '../library/places.ts';
import { listLibrary, usualFolders } from '../library.ts';
import type { Handlers } from '../rpc.ts';
import { readObject } from '../settings.ts';
import type { StudioContext } from '../studio-context.ts';
import { callTrainer } from '../trainer/call.ts';
import { paintMissing } from '../training/paintings.ts';

type ModelMethods = Extract<keyof Handlers, `models.${string}` | `adapters.${string}`>;
type Inspection = Output<'models.inspect'>;

export interface ModelsPart {
  readonly handlers: Pick<Handlers, ModelMethods>;
  readonly starter: string | null;
  nameOf(path: string): string;
  /** What is known of a model's sizes; asks a trainer when it is not, and calls back when it is. */
  factsOf(path: string, onKnown: () => void): ModelFacts | null;
}

/** @param exportFolders what runs of the listed projects have written: always looked at, so that an export is there at once */
export function createModels(studio: StudioContext, exportFolders: () => readonly string[] = () => []): ModelsPart {
  const { ids, tasks, host, folders, settings, assets } = studio;
  const starter = existsSync(join(assets, 'starter', 'unet')) ? join(assets, 'starter') : null;
  const added = new Set<string>();
  let entries: readonly LibraryEntry[] | null = null;
  const factsFile = join(folders.cache, 'models.json');
  const facts = new Map<string, ModelFacts | 'asked' | 'unknown'>(Object.entries(readObject(factsFile)) as [string, ModelFacts][]);
  const stampOf = (path: string): string => `${path}:${statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0}`;

  const look = (): string => tasks.start({ kind: 'library', subject: null, label: 'Look for models', unit: 'files', key: 'library' }, async ({ signal, progress }) => {
    const own = settings.get().folders.filter((folder) => existsSync(folder));
    const all = [...new Set([...own, ...usualFolders(folders.config)])];
    entries = (await listLibrary(all, { cacheFolder: folders.cache, signal, onProgress: (done) => progress(done, 0) })).entries;
  });
  const listed = (refresh: boolean): { known: LibraryEntry[]; taskId: string | null } => {
    const taskId = refresh || entries === null ? look() : null;
    const exported = exportFolders().flatMap((folder) => [...findPlaces(folder)].map(({ path }) => path));
    const chosen = [...new Set([...(starter ? [starter] : []), ...added, ...exported])].filter((path) => existsSync(path)).map((path) => (statSync(path).isDirectory() ? describeFolder(path) : describeFile(path)));
    const seen = new Set(chosen.map(({ path }) => path));
    return { known: [...chosen, ...(entries ?? []).filter(({ path }) => !seen.has(path))], taskId };
  };
  const modelOf = (entry: LibraryEntry): ModelEntry => ({
    id: ids.of(entry.path), name: entry.name, path: entry.path, bytes: entry.bytes, layout: entry.layout,
    family: entry.family, dtype: entry.dtype, prediction: entry.prediction, zeroTerminalSnr: entry.zeroTerminalSnr, lacks: [...entry.lacks], isStarter: entry.path === starter, usable: entry.isUsable, reason: entry.why,
  });
  const adapterOf = (entry: LibraryEntry): AdapterEntry => ({
    id: ids.of(entry.path), name: entry.name, path: entry.path, bytes: entry.bytes, usable: entry.isUsable, reason: entry.why, layout: entry.adapter?.layout ?? null, kind: entry.adapter?.kind ?? '',
    rank: entry.adapter?.rank ?? null, axis: entry.adapter?.axis ?? null, base: entry.adapter?.base ?? entry.family, trigger: entry.adapter?.trigger ?? null, thumbUrl: null,
    family: publishedName(entry.family),
  });
  const inspect = async (path: string): Promise<Inspection> => {
    const { data, facts: told } = await callTrainer(host, 'inspect', { file: path }).result;
    return inspectionOf(told, data as Record<string, unknown>);
  };
  return {
    starter,
    nameOf: modelName,
    factsOf: (path, onKnown) => {
      if (!existsSync(path)) return null;
      const key = stampOf(path);
      const known = facts.get(key);
      if (known === undefined) {
        facts.set(key, 'asked');
        void callTrainer(host, 'model', { path }).result.then(async (found) => {
          facts.set(key, found);
          onKnown();
          const whole = Object.fromEntries([...facts].filter(([, value]) => typeof value === 'object'));
          await writeFileAtomic(factsFile, `${JSON.stringify(whole, null, 1)}\n`);
        }).catch(() => facts.set(key, 'unknown'));
      }
      return typeof known === 'object' ? known : null;
    },
    handlers: {
      'models.list': ({ refresh }) => {
        const { known, taskId } = listed(refresh);
        const isModel = ({ kind }: LibraryEntry): boolean => kind === 'model' || kind === 'unet';
        return { models: known.filter(isModel).map(modelOf), others: known.filter((entry) => !isModel(entry) && entry.kind !== 'adapter').map(modelOf), taskId };
      },
      'models.add': ({ fileId }) => {
        const path = resolve(ids.path(fileId));
        if (!existsSync(path)) throw new UserError('model.missing', `There is nothing at "${path}" any more.`);
        const entry = statSync(path).isDirectory() ? describeFolder(path) : describeFile(path);
        added.add(path);
        return modelOf(entry);
      },
      'models.inspect': ({ id }) => inspect(ids.path(id)),
      'adapters.list': ({ refresh }) => {
        const { known, taskId } = listed(refresh);
        return { adapters: known.filter(({ kind }) => kind === 'adapter').map(adapterOf), taskId };
      },
      'adapters.inspect': ({ id }) => inspect(ids.path(id)),
      'adapters.try': ({ id, modelId, strength, sampler = defaultSampler, ...settings }) => {
        const [adapter, base] = [ids.path(id), ids.path(modelId)];
        const request = (adapters: readonly string[], factor: number): PaintRequest => {
          const key = createHash('sha256').update(JSON.stringify([stampOf(base), adapters.map(stampOf), factor, sampler, settings])).digest('hex').slice(0, 40);
          return { ...settings, base, adapters, strength: factor, sampler, out: join(folders.cache, 'renders', `${key}.png`) };
        };
        // An adapter at strength 0 is the base model.
        const wanted = [request([], 1), strength === 0 ? request([], 1) : request([adapter], strength)] as const;
        const [baseUrl, adaptedUrl] = wanted.map(({ out }) => (existsSync(out) ? ids.image(out) : null)) as [string | null, string | null];
        return { baseUrl, adaptedUrl, taskId: paintMissing(studio, id, wanted, [base]) };
      },
    },
  };
}

/** Tables for people from what `adora inspect --json` says. */
function inspectionOf(facts: readonly Fact[], data: Readonly<Record<string, unknown>>): Inspection {
  const layers = Array.isArray(data['layers']) ? data['layers'] as Record<string, unknown>[] : [];
  const metadata = typeof data['metadata'] === 'object' && data['metadata'] !== null ? Object.entries(data['metadata']) : [];
  const programs = Array.isArray(data['programs']) ? data['programs'] as FileVerdict[] : [];
  return {
    facts: [...facts],
    layers: layers.map(({ module, rank, norm, magnitude }) => ({
      path: String(module), rank: typeof rank === 'number' ? rank : null, hasMagnitudes: Boolean(magnitude), norm: typeof norm === 'number' && Number.isFinite(norm) ? norm : null,
    })),
    metadata: metadata.map(([key, value]) => ({ key, value: String(value).slice(0, 2000) })),
    programs: programs.map(({ id, label, layout, exact, code, data: about, text: verdict }) => ({ id, label, layout, exact, code, data: about, text: verdict })),
  };
}
