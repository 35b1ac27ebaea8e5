// Where the app keeps its own files, by the customs of each system. ADORA_HOME puts all of it into one folder.
import { homedir } from 'node:os';
import { basename, dirname, posix, resolve, win32 } from 'node:path';

export interface AppFolders {
  /** Settings; small and worth backing up. */
  readonly config: string;
  /** Things the user made or imported (library, runs). */
  readonly data: string;
  /** Things that can be made again; may be deleted at any time. */
  readonly cache: string;
}

export interface PathSources {
  readonly platform?: NodeJS.Platform;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly home?: string;
}

const NAME = 'adora';

/** The folders; none of them is created. Relative paths in the XDG variables are ignored, as their standard asks. */
export function appFolders(
  { platform = process.platform, env = process.env, home = homedir() }: PathSources = {},
): AppFolders {
  const { join, isAbsolute, resolve } = platform === 'win32' ? win32 : posix;
  const own = env['ADORA_HOME'];
  if (own) {
    const root = resolve(own);
    return { config: join(root, 'config'), data: join(root, 'data'), cache: join(root, 'cache') };
  }
  const from = (variable: string, ...standard: string[]): string => {
    const value = env[variable];
    return value && isAbsolute(value) ? value : join(home, ...standard);
  };
  if (platform === 'win32') {
    const local = join(from('LOCALAPPDATA', 'AppData', 'Local'), NAME);
    return {
      config: join(from('APPDATA', 'AppData', 'Roaming'), NAME), data: join(local, 'data'), cache: join(local, 'cache'),
    };
  }
  if (platform === 'darwin') {
    const support = join(home, 'Library', 'Application Support', NAME);
    return { config: support, data: join(support, 'data'), cache: join(home, 'Library', 'Caches', NAME) };
  }
  return {
    config: join(from('XDG_CONFIG_HOME', '.config'), NAME),
    data: join(from('XDG_DATA_HOME', '.local', 'share'), NAME),
    cache: join(from('XDG_CACHE_HOME', '.cache'), NAME),
  };
}

/** What an adapter is called by where it lies; a folder of PEFT holds a file that is called the same everywhere. */
export const adapterName = (path: string): string => basename(basename(path) === 'adapter_model.safetensors' ? dirname(resolve(path)) : path).replace(/\.safetensors$/i, '');

/**
 * What a model is called by where it lies: the name of its file or folder. Caches of downloads name the folder of a version by
 * its hash, and that of the model two levels above: `models--owner--name/snapshots/<hash>`.
 */
export function modelName(path: string): string {
  const versions = dirname(resolve(path));
  const cached = basename(versions) === 'snapshots' ? /^models--(?:.+--)?(.+)$/.exec(basename(dirname(versions))) : null;
  return cached?.[1] ?? basename(path).replace(/\.(safetensors|sft)$/i, '');
}
