// Where other programs keep models: below their own folder, and wherever their settings say.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { parse } from 'yaml';

import { registeredModels } from './invoke-database.ts';

interface Program {
  /** What its folder holds. */
  readonly marks: readonly string[];
  /** Folders and files that it may have models in; they need not exist. */
  readonly places: (folder: string) => readonly string[];
}

const PROGRAMS: readonly Program[] = [
  // ComfyUI; it saves merged models below its output, and lists them from there.
  {
    marks: ['comfy', 'models/checkpoints'],
    places: (folder) => [
      'models', ...['checkpoints', 'diffusion_models', 'text_encoders', 'clip', 'vae', 'loras'].map((kind) => join('output', kind)),
    ].map((name) => join(folder, name)).concat(extraPaths(join(folder, 'extra_model_paths.yaml'))),
  },
  // A1111 and Forge.
  { marks: ['models/Stable-diffusion'], places: (folder) => [join(folder, 'models'), ...startPaths(folder)] },
  // InvokeAI.
  { marks: ['invokeai.yaml'], places: invokePlaces },
  { marks: ['databases/invokeai.db'], places: invokePlaces },
];

/** Folders and files with models of the program whose folder this is; null when it is none. */
export function programPlaces(folder: string): string[] | null {
  const program = PROGRAMS.find(({ marks }) => marks.every((mark) => existsSync(join(folder, mark))));
  return program ? [...new Set(program.places(folder))].filter((path) => existsSync(path)) : null;
}

/** Keys of ComfyUI's file that name no folders of models. */
const NO_MODELS = ['base_path', 'is_default', 'custom_nodes', 'configs', 'download_model_base'];

/**
 * Folders that ComfyUI's `extra_model_paths.yaml` names: sections with `base_path` and, per kind, a path or several lines of
 * them. None when it is not there or no YAML.
 */
export function extraPaths(file: string): string[] {
  const found: string[] = [];
  for (const section of Object.values(readYaml(file))) {
    if (!isObject(section)) continue;
    const base = absolute(dirname(file), section['base_path'] ?? '');
    for (const [kind, paths] of Object.entries(section)) {
      if (typeof paths !== 'string' || NO_MODELS.includes(kind)) continue;
      for (const path of paths.split('\n')) if (path.trim() !== '') found.push(absolute(base, path.trim()));
    }
  }
  return [...new Set(found)].filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory());
}

/** ComfyUI's desktop app keeps such a file among its settings. */
export function desktopPaths(home: string): string[] {
  const settings = [process.env['APPDATA'] ?? join(home, 'AppData', 'Roaming'), join(home, 'Library', 'Application Support'), join(home, '.config')];
  return settings.flatMap((folder) => extraPaths(join(folder, 'ComfyUI', 'extra_models_config.yaml')));
}

function invokePlaces(folder: string): string[] {
  const named = readYaml(join(folder, 'invokeai.yaml'))['models_dir'];
  return [absolute(folder, named ?? 'models'), ...registeredModels(join(folder, 'databases', 'invokeai.db'))];
}

/** Flags of A1111 and Forge that name folders or files with models; the last two name another installation. */
const FLAGS = ['--ckpt-dir', '--ckpt-dirs', '--ckpt', '--lora-dir', '--lora-dirs', '--lyco-dir', '--vae-dir', '--vae-dirs', '--vae-path', '--text-encoder-dir', '--text-encoder-dirs'];
const HOMES = ['--data-dir', '--forge-ref-a1111-home', '--forge-ref-comfy-home'];

/** What the start files of A1111 and Forge add to their own folder. */
function startPaths(folder: string): string[] {
  return ['webui-user.sh', 'webui-user.bat', 'webui-macos-env.sh'].flatMap((name) => {
    const words = startWords(join(folder, name));
    return words.flatMap((word, at) => {
      const [flag = '', value = words[at + 1] ?? ''] = word.split(/=(.*)/s);
      if (FLAGS.includes(flag)) return [absolute(folder, value)];
      return HOMES.includes(flag) ? [join(absolute(folder, value), 'models')] : [];
    });
  });
}

/** Words of the lines that are no comments, with the variables that were set before. */
function startWords(file: string): string[] {
  const variables = new Map<string, string>();
  return readText(file).split(/\r?\n/).filter((line) => !/^\s*(#|::|@?rem\b)/i.test(line)).flatMap((line) => {
    const text = line.replace(/%(\w+)%|\$\{?(\w+)\}?/g, (whole, batch?: string, shell?: string) => variables.get((batch ?? shell)!) ?? whole);
    const [, name, value] = /^\s*(?:@?set\s+"?|export\s+)?(\w+)=(.*)$/i.exec(text) ?? [];
    if (name !== undefined) variables.set(name, unquoted(value!.trim()));
    return [...(name === undefined ? text : unquoted(value!.trim())).matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) => word.replace(/["']/g, ''));
  });
}

/** Without quotation marks around the whole; those inside stay. */
const unquoted = (text: string): string => (/^(["'])(?:(?!\1).)*\1$/.test(text) ? text.slice(1, -1) : text);

function absolute(base: string, path: unknown): string {
  const text = String(path).replace(/^~(?=$|[/\\])/, homedir()).replace(/%(\w+)%|\$\{?(\w+)\}?/g, (whole, windows?: string, other?: string) => process.env[(windows ?? other)!] ?? whole);
  return isAbsolute(text) ? text : resolve(base, text);
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function readYaml(file: string): Record<string, unknown> {
  try {
    const value: unknown = parse(readText(file), { logLevel: 'silent' });
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch {
    return '';
  }
}
