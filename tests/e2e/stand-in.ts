// A stand-in for the app, run inside the page: it answers calls from memory, in the shapes of the contract, so that the page
// can be looked at by itself. It trains nothing.

/** Runs in the browser: refers to nothing outside of itself. */
export function standIn(options: { readonly pictures: number; readonly theme: 'dark' | 'light'; readonly locale?: string }): void {
  const now = 1_790_000_000_000;
  const dot = (name: string): { id: string; name: string; path: string } => ({ id: name.replaceAll('.', '-'), name, path: `/home/user/${name}` });
  const run = {
    id: 'run1', projectId: 'p1', name: 'ink-1', state: 'running', created: now, step: 240, total: 600, adapter: 'DoRA', model: 'starter', device: 'cpu',
    loss: 0.11, firstProbe: 0.4, lastProbe: 0.2, seconds: 300, checkpoint: 200, lastSample: '/img/s3', canResume: false, queue: null, problem: null,
  };
  const waiting = { ...run, id: 'run2', name: 'ink-2', state: 'queued', step: 0, checkpoint: null, queue: 1 };
  const settings = { folders: [dot('models')], device: 'auto', theme: options.theme, lowVram: false, locale: options.locale ?? 'en' };
  const project = {
    id: 'p1', name: 'Ink landscapes', folder: dot('ink'), opened: now, model: { id: 'm1', name: 'starter', missing: false },
    dataFolders: [{ ...dot('pictures'), repeats: null, regularization: false, missing: false }], draft: {}, runs: [run, { ...run, id: 'run2', name: 'ink-2', state: 'finished', adapter: 'LoRA', step: 600, checkpoint: 600 }],
  };
  const subjects = ['a lighthouse on a cliff', 'a boat in the fog', 'two hills at night', 'a bridge over a river'];
  const item = (at: number): unknown => ({
    id: `i${at}`, name: `picture-${String(at + 1).padStart(4, '0')}.png`, folderId: 'pictures', imageUrl: `/img/i${at}`, thumbUrl: `/img/i${at}`, width: 768, height: 512, bytes: 310000,
    caption: `ink, ${subjects[at % 4]}`, tags: ['ink', subjects[at % 4]], included: at % 11 !== 10, repeats: at % 9 === 8 ? 2 : 1, focus: { x: 0.5, y: 0.5 }, flags: at % 13 === 6 ? ['blurred'] : [], group: null,
    sharpness: 100, bright: 0, dark: 0, bucket: { width: 512, height: 512 }, crop: { x: 128, y: 0, width: 512, height: 512 }, trainedText: `ink, ${subjects[at % 4]}`, problem: null,
  });
  const stamp = (seq: number): { seq: number; time: number } => ({ seq, time: now });
  const events: unknown[] = [{ kind: 'started', ...stamp(0), fromStep: 0, device: 'cpu', dtype: 'f32', parameters: { trained: 90000, frozen: 900000, tensors: 120 }, job: { name: 'ink-1', task: 'adapter', model: 'starter', family: 'sd', adapter: 'dora', optimizer: 'adamw', images: 24, steps: 600, batch: 4, seed: 1 } }];
  for (let step = 1; step <= 240; step++) events.push({ kind: 'step', ...stamp(events.length), step, total: 600, loss: 0.1 + 0.3 * Math.exp(-step / 60) + 0.03 * Math.sin(step * 12.9), lr: 1e-4 * Math.min(1, step / 20), gradNorm: 0.5, updateNorm: 0.01, secondsPerStep: 1.2, eta: 432 });
  for (const step of [0, 80, 160, 240]) {
    events.push({ kind: 'probe', ...stamp(events.length), step, loss: 0.2 + 0.2 * Math.exp(-step / 80) });
    for (const prompt of subjects.slice(0, 2)) events.push({ kind: 'sample', ...stamp(events.length), step, file: `/img/s${step}${prompt.length}`, prompt, seed: 1 });
  }
  events.push({ kind: 'checkpoint', ...stamp(events.length), step: 200, path: 'step-200' }, { kind: 'memory', ...stamp(events.length + 1), step: 240, rss: 1.4e9, peakRss: 1.6e9 },
    { kind: 'verdict', ...stamp(events.length + 2), name: 'learning', step: 20, ok: true, text: 'Every tensor moved and the loss at fixed noise fell.', data: {} });
  const field = (path: string, group: string, groupLabel: string, label: string, value: number, unit?: string): unknown => ({ path, group, code: `setting.${group}`, groupLabel, when: null, advanced: false, field: { kind: 'number', code: `setting.${path}`, label, help: `${label} of the training.`, why: 'More is slower.', default: value, min: 0, max: 10000, ...(unit === undefined ? {} : { unit }) } });
  const device = {
    path: 'train.device', group: 'train', code: 'setting.train', groupLabel: 'Training', when: null, advanced: false,
    field: { kind: 'choice', code: 'setting.train.device', label: 'Device', help: 'What computes.', why: 'The processor always works.', default: 'auto', options: [{ code: 'device.auto', value: 'auto', label: 'The best one found', help: '' }, { code: 'device.cpu', value: 'cpu', label: 'Processor', help: '' }, { code: 'device.cuda', value: 'cuda', label: 'NVIDIA GPU (CUDA)', help: '' }, { code: 'device.webgpu', value: 'webgpu', label: 'GPU (WebGPU)', help: '' }] },
  };
  const choices = [{ id: 'comfyui', code: 'consumer.comfyui', label: 'ComfyUI', help: '' }, { id: 'all', code: 'consumer.all', label: 'All of them', help: '' }];
  const history = { changed: 0, undo: { code: 'edit.caption', data: {}, text: 'Change of a caption' }, redo: null };
  const layers = ['down_blocks.0.attn1', 'down_blocks.0.attn2', 'mid_block.ff', 'up_blocks.1.conv', 'up_blocks.1.attn2', 'up_blocks.0.attn1'];
  const forecast = { memory: 1.6e9, memoryParts: [], memoryFree: 8e9, secondsPerStep: 1.2, seconds: 720, basis: { code: 'forecast.fits', data: {}, text: 'Measured on the last run.' }, disk: 4e7, diskFree: 1e11, trained: 90000, frozen: 900000, pictures: 24, epochs: 100, device: 'cpu', warnings: [], verdict: 'fits', isRefused: false, changes: [] };
  const total = options.pictures;
  const answers: Record<string, (input: Record<string, unknown>) => unknown> = {
    'app.info': () => ({ version: '0.1.0', mode: 'browser', platform: 'linux', device: 'cpu', projectsFolder: '/home/user/Adora', cacheFolder: '/home/user/.cache', starterModelId: 'm1', hasDemo: true }),
    'settings.get': () => settings, 'settings.set': (input) => Object.assign(settings, input),
    'runs.queue': () => ({ active: run, paused: [{ ...run, id: 'run4', name: 'ink-0', state: 'paused', canResume: true }], waiting: [waiting], held: ['run2'] }), 'tasks.list': () => ({ tasks: [] }), 'runs.list': () => ({ runs: [run] }),
    'catalog.describe': () => ({ settings: [field('train.steps', 'train', 'Training', 'Steps', 600), field('train.batch', 'train', 'Training', 'Pictures at once', 4), field('adapter.rank', 'adapter', 'Adapter', 'Rank', 16), field('optimizer.learningRate', 'optimizer', 'Optimizer', 'Learning rate', 0.0005), device], adapters: [], optimizers: [], schedules: [], objectives: [], samplers: [], consumers: choices, jobSchema: {} }),
    'projects.list': () => ({ projects: [{ id: 'p1', name: project.name, folder: project.folder, opened: now, missing: false, runs: 1, lastRun: run, lastSample: '/img/s3' }] }),
    'recipes.list': () => ({ recipes: [{ id: 'rec1', name: 'sd15', code: 'recipe.sd15', text: 'A style on SD1.5.', isOwn: false }, { id: 'rec2', name: 'My ink', code: null, text: 'For portraits.', isOwn: true }] }),
    'recipes.open': () => ({ draft: { train: { steps: 900 } }, notes: [], from: null, left: [] }),
    'recipes.openFile': () => ({ draft: { train: { steps: 900, batch: 2 } }, notes: [{ code: 'import.epochs', data: {}, text: 'Epochs are not steps.' }], from: 'OneTrainer', left: ['masked_training = true'] }),
    'recipes.recommend': (input) => ({ draft: { train: { steps: 600 + Math.round(Number(input['intensity']) * 100) } }, reasons: [{ path: 'train.steps', value: 650, code: 'reason.steps', data: {}, text: 'Looks at each picture.' }], fidelity: 0.5, economy: 0.5 }),
    'files.pick': (input) => ({ files: [dot(`picked.${String(input['kind'])}`)] }), 'files.roots': () => ({ roots: [dot('home')] }),
    'files.browse': () => ({ folder: dot('home'), parent: null, entries: [{ id: 'f1', name: 'pictures', kind: 'folder', size: 0, pictures: 12 }, { id: 'f2', name: 'job.toml', kind: 'file', size: 900, pictures: null }], truncated: false }),
    'projects.recover': () => ({ runs: [] }), 'projects.open': () => project, 'projects.create': () => project, 'projects.update': (input) => Object.assign(project, input.draft === undefined ? {} : { draft: input.draft }),
    'data.items': (input) => { const offset = Number(input.offset); return { items: Array.from({ length: Math.max(0, Math.min(Number(input.limit), total - offset)) }, (_, at) => item(offset + at)), total, revision: 1, scanned: true }; },
    'data.history': () => history, 'data.setCaption': () => ({ ...history, changed: 1 }), 'data.include': () => ({ ...history, changed: 1 }), 'data.tags': () => ({ tags: [{ tag: 'ink', count: total }, { tag: subjects[0], count: 6 }] }),
    'data.readiness': () => ({ ready: true, code: 'readiness.ready', data: {}, text: 'Ready to train', pictures: total, included: total - 2, verdicts: [{ level: 'warning', code: 'readiness.blurred', data: {}, text: '2 pictures look blurred', count: 2, filter: { flags: ['blurred'] } }], buckets: [{ width: 512, height: 512, pictures: 20, draws: 20 }, { width: 640, height: 448, pictures: 4, draws: 4 }], folders: [{ id: 'pictures', name: 'pictures', pictures: total, draws: total }] }),
    'runs.snapshot': () => ({ run, events, phase: null, lastSeq: events.length - 1, draft: {} }),
    'runs.checkpoints': () => ({ checkpoints: [{ step: 100, bytes: 1e6, probe: 0.25 }, { step: 200, bytes: 1e6, probe: 0.21 }], chosen: 100, suggested: 200 }), 'runs.choose': () => ({}),
    'runs.differences': () => ({ rows: [{ path: 'adapter.kind', values: ['dora', 'lora'] }, { path: 'adapter.axis', values: ['input', null] }] }),
    'runs.canary': () => ({ taskId: null, base: { styleUrl: '/img/c0', offSetUrl: '/img/c1' }, rows: [100, 200].map((step) => ({ step, style: step / 1000, offSet: step / 3000, share: 0.33, level: 'good', code: 'canary.good', data: {}, text: 'The prompt off the set changed 33 % as much as the style prompt: the adapter keeps to its style.', styleUrl: `/img/y${step}`, offSetUrl: `/img/o${step}` })) }),
    'adapters.try': () => ({ baseUrl: '/img/t0', adaptedUrl: '/img/t1', taskId: null }),
    'adapters.inspect': () => ({ facts: [{ code: 'inspect.adapter', data: {}, text: 'DoRA in the layout kohya', value: { code: 'inspect.adapter.layers', data: {}, text: '2 layers, rank 16' } }], layers: [{ path: 'lora_unet_down_blocks_0', rank: 16, hasMagnitudes: true, norm: 0.31 }], metadata: [{ key: 'modelspec.title', value: 'ink' }], programs: [{ id: 'comfyui', label: 'ComfyUI', layout: 'kohya', exact: true, code: 'program.file', data: {}, text: 'Shows what the file holds.' }] }),
    'runs.magnitude': () => ({ taskId: null, analysis: { steps: [200], adapter: 'dora', summary: { points: 6, correlation: 0.4, relativeCorrelation: 0.3, slope: 0.1, relativeSlope: 0.1 }, kinds: {}, points: layers.map((layer, at) => ({ layer, step: 200, direction: 0.01 * (at + 1), magnitude: 0.02, relativeMagnitude: 0.004 * ((at * 3) % 5 + 1) })) } }),
    'runs.compareRender': (input) => ({ images: (input.items as unknown[]).map((_, at) => `/img/c${at}`), taskId: null }),
    'models.list': () => ({ models: [{ id: 'm1', name: 'starter', path: '/home/user/models/starter', bytes: 5e7, layout: 'folder', family: 'Stable Diffusion, small', dtype: 'F16', prediction: 'v', zeroTerminalSnr: true, lacks: ['vae'], isStarter: true, usable: true, reason: null }], others: [{ id: 'o1', name: 'torn', path: '/home/user/models/torn.safetensors', bytes: 2e3, layout: 'single-file', family: null, dtype: '', prediction: null, zeroTerminalSnr: false, lacks: [], isStarter: false, usable: false, reason: { code: 'files.truncated', data: {}, text: 'It ends inside its header: download or copy it again.' } }], taskId: null }),
    'adapters.list': () => ({ adapters: [{ id: 'a1', name: 'ink.safetensors', path: '/home/user/ink', bytes: 3e6, usable: true, reason: null, layout: 'kohya', kind: 'DoRA', rank: 16, axis: 'out', base: null, trigger: null, thumbUrl: null, family: null }], taskId: null }),
    'job.validate': () => ({ issues: [], job: {}, toml: '' }),
    'job.stopForecast': () => ({}),
    // More than 5000 steps do not fit.
    'job.forecast': (input) => (((input.draft as { train?: { steps?: number } }).train?.steps ?? 0) > 5000 ? { ...forecast, memory: 9e9, verdict: 'too-large', isRefused: true, changes: [{ values: { 'train.steps': 400, 'train.batch': 1 }, memory: 2e9, fits: true }] } : forecast),
    'export.options': () => ({ steps: [100, 200], defaultStep: 100, tools: [{ id: 'comfyui', label: 'ComfyUI', layout: 'kohya', exact: true, readsDifferences: true, code: 'program.exact', data: {}, text: 'Magnitudes are read on the axis that was trained.', alternatives: [] }], kinds: [{ kind: 'dora', code: 'export.adapter', data: {}, text: 'What was trained.' }, { kind: 'lora', code: 'export.approximate', data: {}, text: 'The nearest LoRA.' }, { kind: 'merged', code: 'export.merged', data: {}, text: 'As large as the model.' }, { kind: 'diff', code: 'export.differences', data: {}, text: 'Whole differences.' }], bytes: 5e7, defaultRank: 64, dtypes: ['f16'], defaultDtype: 'f16', defaultTool: 'comfyui' }),
    'export.list': () => ({ exports: [{ id: 'e1', step: 200, tool: 'comfyui', kind: 'dora', dtype: 'f16', time: now, files: [{ ...dot('ink-1-200.safetensors'), bytes: 3e6 }], ok: true, proof: [{ ok: true, code: 'verdict.export.holds', data: {}, text: 'All 120 tensors read back equal.' }], warnings: [], pictures: { trained: '/img/e1', exported: '/img/e1', worstDifference: 0 }, hasWorkflow: true }] }),
    'doctor.run': () => ({ taskId: null, report: {
      ok: false, code: 'doctor.bad', data: {}, text: 'A device computes wrongly: do not train on it.', time: now, devices: [
        { name: 'cuda', usable: false, code: 'device.no-gpu', data: {}, text: 'no GPU with a driver for it was found', checks: [] },
        { name: 'webgpu', usable: true, code: 'doctor.wrong', data: {}, text: 'COMPUTES WRONG, do not train on it (f32)', checks: [{ name: 'f32', ok: false, code: 'doctor.gradients', data: {}, text: 'Gradients differ by up to 1.2e+0.' }] },
        { name: 'cpu', usable: true, code: 'doctor.right', data: {}, text: 'computes right (f32)', checks: [{ name: 'f32', ok: true, code: 'doctor.gradients', data: {}, text: 'Gradients differ by up to 1.2e-7.' }] },
      ],
    } }),
  };
  let listener: (message: unknown) => void = () => {};
  Object.defineProperty(window, 'adora', { value: {
    settings, tell: (message: unknown) => listener(message), connect() {}, pathOf: () => Promise.resolve('file'), onMessage(heard: typeof listener) { listener = heard; },
    post(message: { id: number; method: string; input: Record<string, unknown> }) {
      const answer = answers[message.method];
      setTimeout(() => listener(answer === undefined ? { id: message.id, ok: false, error: { code: 'no', message: `${message.method} is not in the stand-in.` } } : { id: message.id, ok: true, output: structuredClone(answer(message.input)) }), 1);
    },
  } });
}
