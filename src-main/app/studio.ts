// The studio without its transports: all handlers of the API, and what else an entry needs.

import { existsSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { stringify as tomlText } from 'smol-toml';

import { version } from '../../package.json';
import { serialQueue } from '../base/async.ts';
import { UserError } from '../base/errors.ts';
import type { Project, Settings } from '../contract/api.ts';
import { say } from '../contract/text.ts';
import { makeFolder } from '../files/atomic-write.ts';
import { appFolders, type AppFolders } from '../files/paths.ts';
import { createBus } from './bus.ts';
import { describeCatalog } from './catalog/describe.ts';
import { listRecipes, openRecipe, openSettingsFile, removeRecipe, saveRecipe } from './catalog/recipes.ts';
import { recommend } from './catalog/recommend.ts';
import { createData, withFolders, type DataNeeds } from './data/data-handlers.ts';
import { createDoctor } from './doctor.ts';
import { createFiles } from './files-handlers.ts';
import { createIds } from './ids.ts';
import { createModels } from './models/models-handlers.ts';
import { dataSettings, draftJob } from './projects/draft-job.ts';
import { freeFolder, folderName, isProject, readProject, runsFolderOf, uploadsOf, writeProject, type StoredProject } from './projects/project-file.ts';
import type { Handlers } from './rpc.ts';
import { createDeviceTurns } from './training/device-turns.ts';
import { createForecasts } from './training/forecasts.ts';
import { createResults } from './training/results-handlers.ts';
import { exportFoldersOf } from './training/run-record.ts';
import { createRuns } from './training/runs-handlers.ts';
import { openSettings } from './settings.ts';
import type { Desktop, StudioContext } from './studio-context.ts';
import { createTasks } from './tasks.ts';
import { createKeptTrainer } from './trainer/kept-trainer.ts';
import type { WorkerHost } from './trainer/worker-host.ts';

export interface StudioOptions {
  readonly mode: 'desktop' | 'browser';
  readonly host: WorkerHost;
  readonly assets: string;
  readonly desktop?: Desktop;
  readonly folders?: AppFolders;
  readonly now?: () => number;
}

export interface Studio {
  readonly context: StudioContext;
  readonly handlers: Handlers;
  /** Folder for uploads of a project, known to it. Error: `projects.unknown`. */
  uploadFolder(projectId: string): Promise<string>;
  isTraining(): boolean;
  /** A checkpoint soon; for suspends. */
  save(): void;
  /** Ends trainings with a checkpoint, cancels tasks. */
  dispose(): Promise<void>;
}

export function createStudio({ mode, host, assets: givenAssets, desktop, folders = appFolders(), now = Date.now }: StudioOptions): Studio {
  const assets = resolve(givenAssets);
  const settings = openSettings(folders.config);
  const bus = createBus();
  const tasks = createTasks(bus, now);
  const secret = settings.get().idSecret;
  const ids = createIds(Buffer.from(secret, 'base64url'));
  void settings.set({ idSecret: secret }).catch(() => {});
  const painter = createKeptTrainer(host);
  const context: StudioContext = { version, mode, folders, assets, ids, bus, tasks, settings, host, painter, turns: createDeviceTurns(painter.giveBack), desktop: desktop ?? null, now };
  const projectsFolder = join(folders.data, 'projects');

  const listed = (): string[] => settings.get().projects.map(({ path }) => path).filter(isProject);
  const project = (id: string): { folder: string; stored: StoredProject } => {
    const folder = listed().find((path) => ids.of(path) === id);
    if (folder === undefined) throw new UserError('projects.unknown', 'This project is not in the list any more: open its folder again.', { id });
    return { folder, stored: readProject(folder) };
  };
  const models = createModels(context, () => listed().flatMap((folder) => exportFoldersOf(runsFolderOf(folder))));
  const facts = (id: string) => {
    const { model } = project(id).stored;
    return model === null ? null : models.factsOf(model, () => data.touch(id));
  };
  const inTurn = serialQueue();
  const changeProject: DataNeeds['changeProject'] = (id, change) => inTurn(async () => {
    const { folder, stored: before } = project(id);
    const after = change(before);
    if (JSON.stringify(after) !== JSON.stringify(before)) await writeProject(folder, after);
    return { before, after };
  });
  const data = createData(context, { project, view: (id) => ({ data: dataSettings(project(id).stored.draft), model: facts(id) }), changeProject });
  const runs = createRuns(context, {
    project, projectIds: () => listed().map((path) => ids.of(path)), selectionOf: data.selectionOf, modelName: models.nameOf,
  });
  const doctor = createDoctor(context);

  const settingsNow = (): Settings => {
    const { folders: own, device, theme, lowVram, locale } = settings.get();
    return { folders: own.map((path) => ids.ref(path)), device, theme, lowVram, locale };
  };
  const projectOf = (folder: string): Project => {
    const stored = readProject(folder);
    const id = ids.of(folder);
    return {
      id, name: stored.name, folder: ids.ref(folder), opened: settings.get().projects.find(({ path }) => path === folder)?.opened ?? 0,
      model: stored.model === null ? null : { id: ids.of(stored.model), name: models.nameOf(stored.model), missing: !existsSync(stored.model) },
      dataFolders: stored.dataFolders.map(({ path, repeats, regularization }) => ({ ...ids.ref(path), repeats, regularization, missing: !existsSync(path) })),
      draft: stored.draft, runs: runs.runsOf(id),
    };
  };
  const putFirst = async (folder: string): Promise<Project> => {
    const others = settings.get().projects.filter(({ path }) => path !== folder);
    await settings.set({ projects: [{ path: folder, opened: now() }, ...others].slice(0, 200) });
    return projectOf(folder);
  };
  const forecasts = createForecasts(context, { project, selectionOf: data.selectionOf, included: data.included });

  const handlers: Handlers = {
    ...createFiles(context, projectsFolder), ...data.handlers, ...models.handlers, ...runs.handlers, ...createResults(context, runs.folderOf), ...forecasts.handlers,
    'app.info': () => ({
      version, mode, platform: process.platform, device: doctor.device(), projectsFolder, cacheFolder: folders.cache,
      starterModelId: models.starter === null ? null : ids.of(models.starter), hasDemo: existsSync(join(assets, 'demo')),
    }),
    'settings.get': settingsNow,
    'settings.set': async ({ addFolders = [], removeFolders = [], ...change }) => {
      const removed = new Set(removeFolders);
      const kept = settings.get().folders.filter((path) => !removed.has(ids.of(path)));
      const own = [...new Set([...kept, ...addFolders.map((id) => ids.path(id))])];
      const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
      await settings.set({ ...given, folders: own });
      bus.emit('settings.changed', settingsNow());
      return settingsNow();
    },
    'tasks.list': () => ({ tasks: tasks.list() }),
    'tasks.cancel': ({ taskId }) => {
      tasks.cancel(taskId);
      return {};
    },
    'doctor.run': doctor.run,
    'projects.list': () => ({
      projects: settings.get().projects.map(({ path, opened }) => {
        const missing = !isProject(path);
        const own = missing ? [] : runs.runsOf(ids.of(path));
        return {
          id: ids.of(path), name: missing ? ids.ref(path).name : readProject(path).name, folder: ids.ref(path), opened, missing, runs: own.length,
          lastRun: own[0] ?? null, lastSample: own.find(({ lastSample }) => lastSample !== null)?.lastSample ?? null,
        };
      }),
    }),
    'projects.create': async ({ name, parent, demo }) => {
      const place = parent === undefined ? projectsFolder : ids.path(parent);
      await makeFolder(place);
      const folder = freeFolder(realpathSync(place), folderName(name));
      await makeFolder(folder);
      const pictures = join(assets, 'demo', 'neon');
      const recipe = join(assets, 'recipes', 'demo.toml');
      const hasDemo = demo && existsSync(pictures) && models.starter !== null;
      await writeProject(folder, {
        name, model: hasDemo ? models.starter : null, dataFolders: hasDemo ? [{ path: pictures, repeats: null, regularization: false }] : [],
        draft: hasDemo ? (await openRecipe(recipe)).draft : {},
      });
      return putFirst(folder);
    },
    'projects.open': ({ id }) => putFirst(project(id).folder),
    'projects.openFolder': ({ fileId }) => {
      const folder = ids.path(fileId);
      readProject(folder);
      return putFirst(folder);
    },
    'projects.update': async ({ id, name, modelId, addFolders = [], removeFolders = [], folders: changes = [], draft }) => {
      const { folder } = project(id);
      const added = addFolders.map((fileId) => ids.path(fileId));
      if (modelId !== undefined || name !== undefined || draft !== undefined) {
        const model = modelId === undefined || modelId === null ? null : ids.path(modelId);
        await changeProject(id, (stored) => ({ ...stored, name: name ?? stored.name, model: modelId === undefined ? stored.model : model, draft: draft ?? stored.draft }));
      }
      if (added.length + removeFolders.length + changes.length > 0) {
        const removed = new Set(removeFolders);
        const label = added.length > 0 ? say('edit.add-folders', 'Add folders') : removeFolders.length > 0 ? say('edit.remove-folders', 'Take folders out') : say('edit.folders', 'Change folders');
        await data.changeFolders(id, label, (stored) => withFolders(stored.filter(({ path }) => !removed.has(ids.of(path))), added).map((one) => {
          const change = changes.find((each) => each.id === ids.of(one.path));
          return change ? { path: one.path, repeats: change.repeats === undefined ? one.repeats : change.repeats, regularization: change.regularization ?? one.regularization } : one;
        }));
      } else if (modelId !== undefined || draft !== undefined) data.touch(id);
      return projectOf(folder);
    },
    'projects.remove': async ({ id }) => {
      await settings.set({ projects: settings.get().projects.filter(({ path }) => ids.of(path) !== id) });
      return {};
    },
    'projects.recover': () => ({ runs: listed().flatMap((path) => runs.runsOf(ids.of(path))).filter(({ state }) => state === 'crashed') }),
    'catalog.describe': describeCatalog,
    'recipes.list': async () => ({ recipes: await listRecipes(context) }),
    'recipes.open': ({ id }) => openRecipe(ids.path(id)),
    'recipes.openFile': ({ fileId }) => openSettingsFile(ids.path(fileId)),
    'recipes.save': ({ name, text, draft }) => saveRecipe(context, name, text, draft),
    'recipes.remove': async ({ id }) => {
      await removeRecipe(context, ids.path(id));
      return {};
    },
    'recipes.recommend': async (given) => recommend(project(given.projectId).stored.draft, given, { pictures: await data.included(given.projectId), side: facts(given.projectId)?.nativeSide ?? null }),
    'job.validate': ({ projectId, draft }) => {
      const checked = draftJob(project(projectId).stored, draft, { device: settings.get().device });
      if (!checked.ok) return { issues: [...checked.issues], job: null, toml: null };
      const job = JSON.parse(JSON.stringify(checked.job)) as Record<string, unknown>;
      return { issues: [], job, toml: tomlText(job) };
    },
  };
  return {
    context, handlers,
    uploadFolder: async (projectId) => {
      const { folder, stored } = project(projectId);
      const uploads = uploadsOf(folder);
      await makeFolder(uploads);
      if (!stored.dataFolders.some(({ path }) => path === uploads)) await data.changeFolders(projectId, say('edit.add-pictures', 'Add pictures'), (folders) => withFolders(folders, [uploads]));
      return uploads;
    },
    isTraining: () => runs.queue.active() !== null,
    save: () => runs.queue.save(),
    dispose: async () => {
      forecasts.dispose();
      await Promise.all([runs.queue.dispose(), tasks.dispose()]);
      await painter.giveBack();
    },
  };
}
