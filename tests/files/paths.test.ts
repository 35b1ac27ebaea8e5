import { describe, expect, it } from 'vitest';
import { appFolders, modelName } from '../../src-main/files/paths.ts';

describe('appFolders', () => {
  it('follows XDG on Linux', () => {
    expect(appFolders({ platform: 'linux', env: {}, home: '/home/u' })).toEqual({
      config: '/home/u/.config/adora', data: '/home/u/.local/share/adora', cache: '/home/u/.cache/adora',
    });
    expect(appFolders({ platform: 'linux', home: '/home/u', env: {
      XDG_CONFIG_HOME: '/c', XDG_DATA_HOME: 'relative', XDG_CACHE_HOME: '',
    } })).toEqual({ config: '/c/adora', data: '/home/u/.local/share/adora', cache: '/home/u/.cache/adora' });
  });

  it('uses AppData on Windows, and the profile where the variables are missing', () => {
    expect(appFolders({ platform: 'win32', home: 'C:\\Users\\u', env: {
      APPDATA: 'D:\\Roaming', LOCALAPPDATA: 'D:\\Local',
    } })).toEqual({ config: 'D:\\Roaming\\adora', data: 'D:\\Local\\adora\\data', cache: 'D:\\Local\\adora\\cache' });
    expect(appFolders({ platform: 'win32', home: 'C:\\Users\\u', env: {} }).config)
      .toBe('C:\\Users\\u\\AppData\\Roaming\\adora');
  });

  it('uses the Library on a Mac', () => {
    expect(appFolders({ platform: 'darwin', env: { XDG_CACHE_HOME: '/x' }, home: '/Users/u' })).toEqual({
      config: '/Users/u/Library/Application Support/adora', data: '/Users/u/Library/Application Support/adora/data',
      cache: '/Users/u/Library/Caches/adora',
    });
  });

  it('puts everything below ADORA_HOME', () => {
    for (const platform of ['linux', 'darwin'] as const) {
      expect(appFolders({ platform, env: { ADORA_HOME: '/a/', XDG_CACHE_HOME: '/x' }, home: '/h' }))
        .toEqual({ config: '/a/config', data: '/a/data', cache: '/a/cache' });
    }
    expect(appFolders({ platform: 'win32', env: { ADORA_HOME: 'E:\\a' }, home: 'C:\\h' }).cache).toBe('E:\\a\\cache');
    expect(appFolders({ env: { ADORA_HOME: 'here' } }).data).toMatch(/here.data$/);
    expect(appFolders({ env: { ADORA_HOME: 'here' } }).data).not.toMatch(/^here/);
  });
});

it.each([
  ['/m/illustrious.safetensors', 'illustrious'], ['v1.5.SFT', 'v1.5'], ['/m/sdxl-base', 'sdxl-base'], ['/m/sdxl-base/', 'sdxl-base'],
  ['/hub/models--some--Model-1/snapshots/0a1b', 'Model-1'], ['/hub/models--gpt2/snapshots/0a1b', 'gpt2'], ['/hub/models--a--b--c/snapshots/0a1b', 'c'], ['/snapshots/0a1b', '0a1b'],
])('a model at %s is called %s', (path, name) => expect(modelName(path)).toBe(name));
