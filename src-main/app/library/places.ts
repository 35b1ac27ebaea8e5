// Where models lie: the folders of ComfyUI, A1111, Forge and InvokeAI, and whatever a user points at.
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';

/** What is looked at: a model folder as a whole, or a file of weights. */
export interface Place {
  readonly path: string;
  readonly isFolder: boolean;
}

/** Deeper folders are not models any more. */
const MAX_DEPTH = 8;
const PASSED_OVER = /^(\.|node_modules$|venv$|env$|python_embeded$|__pycache__$|output$|outputs$|input$|custom_nodes$|site-packages$)/;
/** Formats that programs keep models in; those that Adora does not read are listed with the reason. */
const WEIGHTS = /\.(safetensors|ckpt|gguf)$/i;
/** Endings of many other things as well: small ones are embeddings or state of training. */
const PICKLES = /\.(pt|pth|bin)$/i;
const LEAST_PICKLE = 50e6;
const SHARD = /-\d{5}-of-\d{5}\.safetensors$/;
const INDEX = /\.safetensors\.index(\.\w+)?\.json$/;

/** Programs by what their folder holds; the folders in them with models. */
const PROGRAMS: readonly { readonly marks: readonly string[]; readonly models: readonly string[] }[] = [
  { marks: ['comfy', 'models/checkpoints'], models: ['models'] },
  { marks: ['models/Stable-diffusion'], models: ['models'] },
  { marks: ['invokeai.yaml'], models: ['models'] },
];

/**
 * The folders to search for `root`: of a known program those with models, also the ones that `extra_model_paths.yaml` of
 * ComfyUI names; any other folder is searched itself.
 */
export function searchedFolders(root: string): string[] {
  const folder = resolve(root);
  const program = PROGRAMS.find(({ marks }) => marks.every((mark) => existsSync(join(folder, mark))));
  const own = program ? program.models.map((name) => join(folder, name)).filter((path) => existsSync(path)) : [folder];
  const extra = join(folder, 'extra_model_paths.yaml');
  return existsSync(extra) ? [...own, ...extraPaths(extra)] : own;
}

/** Models below `root`, in the order of their names. What cannot be listed is passed over; links are followed once. */
export function* findPlaces(root: string, seen = new Set<string>()): Generator<Place> {
  if (!existsSync(root)) return;
  if (!statSync(root).isDirectory()) {
    yield { path: root, isFolder: false };
    return;
  }
  yield* walk(root, 0, seen);
}

function* walk(folder: string, depth: number, seen: Set<string>): Generator<Place> {
  let names: string[];
  try {
    const real = realpathSync(folder);
    if (seen.has(real)) return;
    seen.add(real);
    names = readdirSync(folder).sort();
  } catch {
    return;
  }
  if (isModelFolder(folder, names)) {
    yield { path: folder, isFolder: true };
    return;
  }
  const hasIndex = names.some((name) => INDEX.test(name));
  const folders: string[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) continue;
    if (stat.isDirectory()) {
      if (depth < MAX_DEPTH && !PASSED_OVER.test(name)) folders.push(path);
    } else if (stat.isFile() && isWeights(name, stat.size) && !name.startsWith('.') && !(hasIndex && SHARD.test(name))) {
      yield { path, isFolder: false };
    }
  }
  for (const path of folders) yield* walk(path, depth + 1, seen);
}

const isWeights = (name: string, size: number): boolean => WEIGHTS.test(name) || INDEX.test(name) || (PICKLES.test(name) && size >= LEAST_PICKLE);

const isModelFolder = (folder: string, names: readonly string[]): boolean =>
  names.includes('model_index.json') || ['unet', 'transformer'].some((part) => names.includes(part) && existsSync(join(folder, part, 'config.json')));

/**
 * Folders that ComfyUI's `extra_model_paths.yaml` names: sections with `base_path` and, per kind, a path or several lines of
 * them. Only this shape of YAML is read.
 */
export function extraPaths(file: string): string[] {
  const found: string[] = [];
  let base = dirname(file);
  let isList = false;
  for (const line of readFileSync(file, 'utf8').split(/\r?\n/)) {
    const text = line.replace(/(^|\s)#.*$/, '').trimEnd();
    if (text.trim() === '') continue;
    const [, indent = '', key, value = ''] = /^(\s*)([\w-]+):(?:\s+(.*))?$/.exec(text) ?? [];
    if (key === undefined) {
      if (isList && /^\s/.test(text)) found.push(absolute(base, text.trim()));
      continue;
    }
    isList = /^[|>][+-]?$/.test(value);
    if (indent === '') base = dirname(file);
    else if (key === 'base_path') base = absolute(dirname(file), unquoted(value));
    else if (value !== '' && !isList && key !== 'is_default') found.push(absolute(base, unquoted(value)));
  }
  return [...new Set(found)].filter((path) => existsSync(path) && statSync(path).isDirectory());
}

const unquoted = (text: string): string => text.trim().replace(/^(['"])(.*)\1$/, '$2');
const absolute = (base: string, path: string): string => (isAbsolute(path) ? path : join(base, path));
