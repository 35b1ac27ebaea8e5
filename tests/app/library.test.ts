// The library: what lies in folders of other programs, from headers; one bad file stops nothing; files are read once.
import { cpSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { libraryCommand } from '../../src-main/app/library-command.ts';
import { listLibrary, usualFolders, type LibraryEntry } from '../../src-main/app/library.ts';
import { inspectCommand } from '../../src-main/train/inspect.ts';
import { registeredModels } from '../../src-main/app/library/invoke-database.ts';
import { desktopPaths, extraPaths } from '../../src-main/app/library/programs.ts';
import { refusalOf, temporaryFolder } from '../files/temporary.ts';
import { goldenPath } from '../nn/golden.ts';
import { keyList, rename, writeSparse, type Shapes } from '../train/checkpoint-files.ts';

const lists = { sd15: keyList('sd15'), sdxl: keyList('sdxl') };

afterEach(() => vi.unstubAllEnvs());

/** Writes files into a fresh folder and gives it. */
function tree(files: Readonly<Record<string, Shapes | string>>, dtype = 'F16', metadata?: Readonly<Record<string, string>>): string {
  const root = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    if (typeof content === 'string') writeFileSync(path, content);
    else writeSparse(path, content, dtype, metadata);
  }
  return root;
}

async function list(root: string, cacheFolder = temporaryFolder(), onProgress?: (done: number, path: string) => void): Promise<Record<string, LibraryEntry>> {
  const { entries } = await listLibrary([root], { cacheFolder, ...(onProgress ? { onProgress } : {}) });
  return Object.fromEntries(entries.map((entry) => [entry.path.slice(root.length + 1), entry]));
}

/** Files of Stable Diffusion 1.5 in the diffusers layout. */
function inFolder(prefix: string): Record<string, Shapes | string> {
  const { unet, vae, text_encoder: text } = lists.sd15.diffusers;
  return {
    [`${prefix}model_index.json`]: '{}', [`${prefix}unet/diffusion_pytorch_model.safetensors`]: unet!, [`${prefix}vae/diffusion_pytorch_model.safetensors`]: vae!, [`${prefix}text_encoder/model.safetensors`]: text!,
    ...Object.fromEntries(Object.entries(lists.sd15.configs).map(([part, config]) => [`${prefix}${part}/${part === 'scheduler' ? 'scheduler_config' : 'config'}.json`, JSON.stringify(config)])),
  };
}

const lora: Shapes = { 'lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight': [8, 768], 'lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight': [640, 8] };
const dora: Shapes = {
  'lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_down.weight': [16, 2048], 'lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_up.weight': [640, 16],
  'lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.dora_scale': [1, 2048],
};

describe('what is found', () => {
  test('in a folder of ComfyUI: each kind by its contents', async () => {
    const root = tree({
      'comfy/x.py': '', 'models/checkpoints/illustrious.safetensors': { ...lists.sdxl.ldm, v_pred: [0], ztsnr: [0] }, 'models/checkpoints/sd/v1.safetensors': lists.sd15.ldm,
      'models/unet/unet.safetensors': rename(lists.sd15.ldm, 'model.diffusion_model.', ''), 'models/vae/vae.safetensors': rename(lists.sd15.ldm, 'first_stage_model.', ''),
      'models/text_encoders/clip_l.safetensors': lists.sd15.diffusers['text_encoder']!, 'models/loras/style.safetensors': lora, 'models/loras/weight.safetensors': dora,
      'output/no-model.safetensors': lists.sd15.ldm, 'models/checkpoints/put_checkpoints_here': '', 'models/checkpoints/preview.png': 'x',
    });
    const found = await list(root);
    expect(Object.fromEntries(Object.entries(found).map(([name, { kind, family, dtype, prediction, zeroTerminalSnr, isUsable }]) => [name, [kind, family, dtype, prediction, zeroTerminalSnr, isUsable]]))).toEqual({
      'models/checkpoints/illustrious.safetensors': ['model', 'Stable Diffusion XL', 'F16', 'v', true, true],
      'models/checkpoints/sd/v1.safetensors': ['model', 'Stable Diffusion 1.x', 'F16', 'epsilon', false, true],
      'models/unet/unet.safetensors': ['unet', 'Stable Diffusion 1.x', 'F16', 'epsilon', false, true],
      'models/vae/vae.safetensors': ['autoencoder', 'Autoencoder, 4 channels', 'F16', null, false, true],
      'models/text_encoders/clip_l.safetensors': ['text-encoder', 'Text encoder (CLIP)', 'F16', null, false, true],
      'models/loras/style.safetensors': ['adapter', 'Stable Diffusion 1.x', 'F16', null, false, true],
      'models/loras/weight.safetensors': ['adapter', 'Stable Diffusion XL', 'F16', null, false, true],
    });
    expect(found['models/loras/weight.safetensors']!.adapter).toEqual({ kind: 'DoRA', layout: 'kohya', rank: 16, axis: 'input', base: null, trigger: null });
    expect(found['models/checkpoints/sd/v1.safetensors']!.bytes).toBe(statSync(join(root, 'models/checkpoints/sd/v1.safetensors')).size);
  });

  test('an adapter is what `inspect` says that it is, whatever names its tensors have', async () => {
    const path = 'down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k';
    const adapters: Record<string, Shapes> = {
      // OneTrainer's names for diffusers, with magnitudes of inputs.
      dotted: { [`unet.${path}.lora_down.weight`]: [4, 768], [`unet.${path}.lora_up.weight`]: [640, 4], [`unet.${path}.dora_scale`]: [1, 768] },
      processor: { [`unet.${path.replace('to_k', 'processor.to_k_lora')}.down.weight`]: [4, 1024], [`unet.${path.replace('to_k', 'processor.to_k_lora')}.up.weight`]: [640, 4] },
      peft: { [`base_model.model.${path}.lora_A.weight`]: [4, 768], [`base_model.model.${path}.lora_B.weight`]: [640, 4], [`base_model.model.${path}.lora_magnitude_vector`]: [640] },
      toolkit: { [`lora_unet_${path.replaceAll('.', '_')}.lora_A.weight`]: [4, 768], [`lora_unet_${path.replaceAll('.', '_')}.lora_B.weight`]: [640, 4], [`lora_unet_${path.replaceAll('.', '_')}.magnitude`]: [640] },
    };
    const root = tree(Object.fromEntries(Object.entries(adapters).map(([name, shapes]) => [`${name}.safetensors`, shapes])));
    const found = await list(root);
    for (const name of Object.keys(adapters)) {
      const { data } = await inspectCommand({ file: join(root, `${name}.safetensors`), tensors: false });
      const { isDora, axis, family, layout, ranks } = data as Record<string, unknown>;
      const { family: listed, adapter } = found[`${name}.safetensors`]!;
      expect({ name, isDora: adapter!.kind === 'DoRA', axis: adapter!.axis, family: listed, layout: adapter!.layout, ranks: [adapter!.rank] }).toEqual({ name, isDora, axis, family, layout, ranks });
    }
    expect(found['dotted.safetensors']!.adapter).toMatchObject({ kind: 'DoRA', axis: 'input', rank: 4 });
    expect(found['toolkit.safetensors']!.adapter).toMatchObject({ kind: 'DoRA', axis: 'output' });
  });

  test('adapters that cannot be applied are listed and said to be so', async () => {
    const root = tree({ 'loha.safetensors': { 'lora_unet_mid_block_attentions_0_proj_in.hada_w1_a': [4, 4], 'lora_unet_mid_block_attentions_0_proj_in.hada_w1_b': [4, 4] } });
    expect((await list(root))['loha.safetensors']).toMatchObject({ kind: 'adapter', isUsable: false, reason: expect.stringContaining('LoHa') as string, adapter: { kind: 'LoHa', layout: null } });
  });

  test('in folders of A1111 and InvokeAI, and a folder in the diffusers layout', async () => {
    const webui = tree({ 'models/Stable-diffusion/a.safetensors': lists.sd15.ldm, 'models/Lora/b.safetensors': lora, 'embeddings/c.safetensors': { emb: [1, 768] } });
    expect(Object.keys(await list(webui))).toEqual(['models/Lora/b.safetensors', 'models/Stable-diffusion/a.safetensors']);
    const { unet, vae, text_encoder: text } = lists.sd15.diffusers;
    const invoke = tree({
      'invokeai.yaml': 'x: y', 'databases/d.safetensors': lora, 'models/sd-1/main/mine/model_index.json': '{}',
      'models/sd-1/main/mine/unet/diffusion_pytorch_model.fp16.safetensors': unet!, 'models/sd-1/main/mine/vae/diffusion_pytorch_model.fp16.safetensors': vae!, 'models/sd-1/main/mine/text_encoder/model.fp16.safetensors': text!,
      ...Object.fromEntries(Object.entries(lists.sd15.configs).map(([part, config]) => [`models/sd-1/main/mine/${part}/${part === 'scheduler' ? 'scheduler_config' : 'config'}.json`, JSON.stringify(config)])),
    });
    const found = await list(invoke);
    expect(found).toEqual({ 'models/sd-1/main/mine': expect.objectContaining({ kind: 'model', layout: 'folder', family: 'Stable Diffusion 1.x', dtype: 'F16', prediction: 'epsilon', isUsable: true }) as LibraryEntry });
    rmSync(join(invoke, 'models/sd-1/main/mine/unet/diffusion_pytorch_model.fp16.safetensors'));
    expect((await list(invoke))['models/sd-1/main/mine']).toMatchObject({ isUsable: false, reason: expect.stringContaining('.safetensors') as string });
  });

  test('in further folders that ComfyUI is told of', () => {
    const webui = tree({ 'models/Lora/b.safetensors': lora, 'models/Stable-diffusion/a.safetensors': lists.sd15.ldm, 'more models/x': '' });
    const file = join(tree({ 'extra_model_paths.yaml': [
      '# comment', 'a111:', `    base_path: ${webui} # here`, '    checkpoints: models/Stable-diffusion', '    loras: |', '        models/Lora', '        models/none', '    is_default: true', '',
      'other:', `  base_path: "${webui}"`, "  vae: 'more models'", '',
    ].join('\n') }), 'extra_model_paths.yaml');
    expect(extraPaths(file)).toEqual([join(webui, 'models/Stable-diffusion'), join(webui, 'models/Lora'), join(webui, 'more models')]);
  });

  test('of ComfyUI that merged models, and of its desktop app', async () => {
    const elsewhere = tree({ 'ckpt/d.safetensors': lists.sd15.ldm });
    const root = tree({
      'comfy/x.py': '', 'models/checkpoints/a.safetensors': lists.sd15.ldm, 'output/checkpoints/merged.safetensors': lists.sd15.ldm, 'output/loras/l.safetensors': lora, 'output/picture.png': 'x',
      'output/other/no-model.safetensors': lists.sd15.ldm, 'extra_model_paths.yaml': `any: {base_path: ${elsewhere}, checkpoints: ckpt, custom_nodes: nodes}\nempty:\n`,
    });
    const { entries } = await listLibrary([root], { cacheFolder: temporaryFolder() });
    expect(entries.map(({ path }) => path)).toEqual(['models/checkpoints/a.safetensors', 'output/checkpoints/merged.safetensors', 'output/loras/l.safetensors'].map((name) => join(root, name)).concat(join(elsewhere, 'ckpt/d.safetensors')));
    const home = tree({ '.config/ComfyUI/extra_models_config.yaml': `comfyui_desktop:\n  is_default: "true"\n  base_path: ${elsewhere}\n  checkpoints: ckpt\n  loras: none/\n` });
    vi.stubEnv('APPDATA', join(home, 'AppData'));
    expect(desktopPaths(home)).toEqual([join(elsewhere, 'ckpt')]);
    for (const text of ['a: [', '- x', '7', 'a: 1\nb: null', 'a: {base_path: 3, loras: [1]}', 'x: &a [*a]']) {
      writeFileSync(join(root, 'extra_model_paths.yaml'), text);
      expect(extraPaths(join(root, 'extra_model_paths.yaml'))).toEqual([]);
    }
  });

  test('where the start files of A1111 and Forge say', async () => {
    const elsewhere = tree({ 'my models/a.safetensors': lists.sd15.ldm, 'vae/v.safetensors': rename(lists.sd15.ldm, 'first_stage_model.', ''), 'loras/l.safetensors': lora, 'home/models/Lora/m.safetensors': dora, 'off/x.safetensors': lora });
    const webui = tree({
      'models/Stable-diffusion/b.safetensors': lists.sd15.ldm, 'models/VAE/w.safetensors': rename(lists.sd15.ldm, 'first_stage_model.', ''), 'models/text_encoder/t.safetensors': lists.sd15.diffusers['text_encoder']!,
      'webui-user.sh': `#!/bin/bash\n# python launch.py --lora-dir ${elsewhere}/off\nexport COMMANDLINE_ARGS="--xformers --ckpt-dir '${elsewhere}/my models' --vae-path=${elsewhere}/vae/v.safetensors"\n`,
      'webui-user.bat': `@echo off\r\n@REM set X=--lora-dir ${elsewhere}/off\r\nset MINE=${elsewhere}\r\nset COMMANDLINE_ARGS=--lora-dir "%MINE%/loras" --forge-ref-a1111-home %MINE%/home --theme dark\r\n`,
    });
    const { entries } = await listLibrary([webui], { cacheFolder: temporaryFolder() });
    expect(entries.map(({ path }) => path.replace(webui, '').replace(elsewhere, '>'))).toEqual([
      '/models/Stable-diffusion/b.safetensors', '/models/VAE/w.safetensors', '/models/text_encoder/t.safetensors',
      '>/my models/a.safetensors', '>/vae/v.safetensors', '>/loras/l.safetensors', '>/home/models/Lora/m.safetensors',
    ]);
  });

  test('where InvokeAI keeps models, and those that it uses in their place', async () => {
    const elsewhere = tree({ 'a.safetensors': lists.sd15.ldm });
    const invoke = tree({ 'invokeai.yaml': 'schema_version: 4.0.2\nmodels_dir: my_models\n', 'my_models/0f3c/b.safetensors': lora, 'models/old.safetensors': dora, 'databases/invokeai.db': 'x' });
    expect(Object.keys(await list(invoke))).toEqual(['my_models/0f3c/b.safetensors']);
    const rows = [{ path: join(elsewhere, 'a.safetensors') }, { path: '0f3c/b.safetensors' }, { path: null }];
    let isClosed = false;
    const database = { prepare: (sql: string) => ({ all: () => (sql.includes('models') ? rows : []) }), close: () => { isClosed = true; } };
    const file = join(invoke, 'databases/invokeai.db');
    expect(registeredModels(file, () => database)).toEqual([join(elsewhere, 'a.safetensors')]);
    expect(isClosed).toBe(true);
    expect(registeredModels(file, () => { throw new Error('not a database'); })).toEqual([]);
    expect(registeredModels(file, () => null)).toEqual([]);
    expect(registeredModels(join(invoke, 'none.db'), () => database)).toEqual([]);
  });

  test('of programs inside of the folder that is named, and what stands in other folders beside them', async () => {
    const root = tree({
      'ComfyUI/comfy/x.py': '', 'ComfyUI/models/checkpoints/a.safetensors': lists.sd15.ldm, 'ComfyUI/custom_nodes/n/b.safetensors': lora, 'ComfyUI/tests/c.safetensors': lora, 'output/trained.safetensors': lora,
      'newer.SFT': lists.sd15.ldm,
    });
    expect(Object.keys(await list(root))).toEqual(['newer.SFT', 'ComfyUI/models/checkpoints/a.safetensors', 'output/trained.safetensors']);
  });

  test('once, however many links lead to it; links that lead nowhere are passed over', async () => {
    const root = tree({ 'real/a.safetensors': lora });
    for (const [link, to] of [['loop', 'loop'], ['circle/x', '../circle'], ['gone.safetensors', 'nothing'], ['real/b.safetensors', 'a.safetensors'], ['other', 'real']] as const) {
      mkdirSync(dirname(join(root, link)), { recursive: true });
      symlinkSync(to, join(root, link));
    }
    expect((await listLibrary([root], { cacheFolder: temporaryFolder() })).entries.map(({ name }) => name)).toEqual(['a']);
  });

  test('folders of a cache of downloads by the name of their model, and checkpoints beside the parts of a model', async () => {
    const root = tree(inFolder('models--some--Model-1/snapshots/0123abc/'));
    mkdirSync(join(root, 'loose'));
    writeSparse(join(root, 'models--some--Model-1/snapshots/0123abc/whole.safetensors'), lists.sd15.ldm);
    expect(Object.values(await list(root)).map(({ name, kind, layout }) => [name, kind, layout])).toEqual([['Model-1', 'model', 'folder'], ['whole', 'model', 'single-file']]);
  });

  test('parts that are missing are said, and what does not fit is not usable', async () => {
    const without = (shapes: Shapes, start: string): Shapes => Object.fromEntries(Object.entries(shapes).filter(([name]) => !name.startsWith(start)));
    const root = tree({
      'a.safetensors': without(lists.sdxl.ldm, 'first_stage_model.'), 'b.safetensors': without(lists.sdxl.ldm, 'conditioner.embedders.1.'), 'c.safetensors': { ...lists.sd15.ldm, 'model.diffusion_model.time_embed.cond_proj.weight': [320, 256] },
      ...inFolder('d/'),
    });
    rmSync(join(root, 'd/text_encoder/model.safetensors'));
    writeFileSync(join(root, 'd/text_encoder/pytorch_model.bin'), 'PK');
    const found = await list(root);
    expect(found['a.safetensors']).toMatchObject({ kind: 'model', family: 'Stable Diffusion XL', lacks: ['vae'], isUsable: true });
    expect(found['b.safetensors']).toMatchObject({ kind: 'model', family: 'Stable Diffusion XL', lacks: ['text_encoder_2'], isUsable: true });
    expect(found['c.safetensors']).toMatchObject({ isUsable: false, reason: expect.stringContaining('cond_proj') as string });
    expect(found['d']).toMatchObject({ isUsable: false, reason: expect.stringContaining('"text_encoder"') as string });
    vi.stubEnv('ADORA_HOME', temporaryFolder());
    expect((await libraryCommand({ folders: [root] })).text).toContain('without text_encoder_2');
  });

  test('a checkpoint that carries its own configuration', async () => {
    const { entries } = await listLibrary([goldenPath('checkpoints')], { cacheFolder: temporaryFolder() });
    expect(entries.map(({ name, kind, family, dtype, prediction, isUsable }) => [name, kind, family, dtype, prediction, isUsable])).toEqual([
      ['sd15', 'model', 'Custom UNet', 'F32', 'epsilon', true], ['sd21', 'model', 'Custom UNet', 'BF16', 'v', true], ['sdxl', 'model', 'Custom UNet', 'F16', 'epsilon', true],
    ]);
  });

  test('shards of one model are one entry; links that lead in circles end', async () => {
    const shard = tree({ 'm/model-00001-of-00002.safetensors': { 'text_model.embeddings.token_embedding.weight': [4, 768] }, 'm/model-00002-of-00002.safetensors': { 'text_model.x': [1] },
      'm/model.safetensors.index.json': JSON.stringify({ weight_map: { 'text_model.embeddings.token_embedding.weight': 'model-00001-of-00002.safetensors', 'text_model.x': 'model-00002-of-00002.safetensors' } }) });
    symlinkSync(shard, join(shard, 'm', 'again'));
    const found = await list(shard);
    expect(Object.keys(found)).toEqual(['m/model.safetensors.index.json']);
    expect(found['m/model.safetensors.index.json']).toMatchObject({ kind: 'text-encoder', isUsable: true });
  });
});

describe('what cannot be used', () => {
  test('is listed with its reason and stops nothing', async () => {
    const root = tree({
      'a.safetensors': '', 'b.safetensors': 'garbage that is no header', 'c.ckpt': 'PK\u0003\u0004x', 'd.gguf': 'GGUF....', 'e.safetensors': { 'double_blocks.0.img_attn.norm.key_norm.scale': [1] },
      'f.safetensors': { ...lists.sdxl.ldm, scaled_fp8: [1] }, 'g.safetensors': { x: [1] }, 'h.safetensors.index.json': '{"weight_map": {"a": "../../etc/passwd"}}', 'sub/good.safetensors': lora,
    });
    const found = await list(root);
    const reasons: Record<string, string> = { 'a.safetensors': 'empty', 'b.safetensors': 'header', 'c.ckpt': 'pickled', 'd.gguf': 'GGUF', 'e.safetensors': 'FLUX.1', 'f.safetensors': 'scaled_fp8', 'g.safetensors': 'looked for', 'h.safetensors.index.json': 'same folder' };
    for (const [name, reason] of Object.entries(reasons)) expect(found[name], name).toMatchObject({ kind: 'other', isUsable: false, reason: expect.stringContaining(reason) as string });
    expect(found['sub/good.safetensors']!.isUsable).toBe(true);
    vi.stubEnv('ADORA_HOME', temporaryFolder());
    const { text } = await libraryCommand({ folders: [root] });
    expect(text).toContain('Not usable (8)');
    expect(text).toContain('sub/good.safetensors  LoRA of rank 8, Stable Diffusion 1.x');
  });

  test('a folder that is not there is said', async () => {
    await refusalOf('library.missing', () => listLibrary([join(temporaryFolder(), 'none')]));
  });
});

describe('what is known of files', () => {
  test('is kept as long as their size and time stay', async () => {
    const root = tree({ 'a.safetensors': lora, 'b.safetensors': dora });
    const cache = temporaryFolder();
    const read: string[] = [];
    const again = () => list(root, cache, (_, path) => read.push(path.slice(root.length + 1)));
    const path = join(root, 'a.safetensors');
    utimesSync(path, 1000, 1000);
    const first = await again();
    expect(read.splice(0)).toEqual(['a.safetensors', 'b.safetensors']);
    expect(await again()).toEqual(first);
    expect(read).toEqual([]);
    writeFileSync(path, Buffer.alloc(statSync(path).size));
    utimesSync(path, 1000, 1000);
    expect((await again())['a.safetensors']!.isUsable).toBe(true);
    utimesSync(path, 1001, 1001);
    expect((await again())['a.safetensors']!.isUsable).toBe(false);
    expect(read).toEqual(['a.safetensors']);
  });

  test('of a folder is read anew when a file in one of its parts changes, even in place', async () => {
    const root = tree(inFolder('m/'));
    // Some disks settle the times of files that were just written only later.
    for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) utimesSync(join(root, name), 1000, 1000);
    const cache = temporaryFolder();
    expect((await list(root, cache))['m']).toMatchObject({ dtype: 'F16', prediction: 'epsilon' });
    const read: string[] = [];
    await list(root, cache, (_, path) => read.push(path));
    expect(read).toEqual([]);
    writeSparse(join(root, 'm/unet/diffusion_pytorch_model.safetensors'), lists.sd15.diffusers['unet']!, 'F32');
    writeFileSync(join(root, 'm/scheduler/scheduler_config.json'), JSON.stringify({ ...lists.sd15.configs['scheduler'], prediction_type: 'v_prediction' }));
    expect((await list(root, cache))['m']).toMatchObject({ dtype: 'F32, F16', prediction: 'v' });
  });

  test('is read anew when the cache is damaged', async () => {
    const root = tree({ 'a.safetensors': lora });
    const cache = temporaryFolder();
    const first = await list(root, cache);
    for (const text of ['{', '[]', '{"version":1,"entries":[null,{}]}', '{"version":99,"entries":[]}']) {
      writeFileSync(join(cache, 'library.json'), text);
      expect(await list(root, cache)).toEqual(first);
    }
  });
});

test('the usual places are those of the settings and the installed programs', () => {
  const home = tree({ 'ComfyUI/x': '', 'models/y': '' });
  const config = tree({ 'settings.json': JSON.stringify({ folders: [join(home, 'models'), join(home, 'gone'), 7] }) });
  expect(usualFolders(config, home)).toEqual([join(home, 'models'), join(home, 'ComfyUI')]);
  cpSync(join(home, 'ComfyUI'), join(home, 'Documents', 'ComfyUI'), { recursive: true });
  expect(usualFolders(config, home)).toContain(join(home, 'Documents', 'ComfyUI'));
});
