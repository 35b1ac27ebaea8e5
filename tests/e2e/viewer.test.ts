// The viewer's shader in a real browser: pixels that WebGPU (SwiftShader, where there is no graphics card) and the plain
// canvas draw, against numbers computed here from the pictures.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium, type Browser, type Page } from 'playwright-core';
import sharp from 'sharp';
import { build } from 'vite';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type * as Viewer from '../../src-renderer/ui/picture-view.ts';

const root = join(import.meta.dirname, '../..');
const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));
if (program === undefined) process.stderr.write('No Chromium was found: the viewer is not tested in a browser.\n');
/** Debian's chromium brings SwiftShader; without the variables its loader finds no driver and the GPU process ends. */
const driver = '/usr/lib/chromium/vk_swiftshader_icd.json';
const env = { ...process.env, ...(existsSync(driver) ? { VK_ICD_FILENAMES: driver, XDG_RUNTIME_DIR: tmpdir() } : {}) };
const flags = [
  '--no-sandbox', '--enable-unsafe-webgpu', '--enable-features=Vulkan', '--use-vulkan=swiftshader', '--use-angle=vulkan', '--use-webgpu-adapter=swiftshader',
  '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist',
];

interface Rgba { readonly width: number; readonly height: number; readonly data: readonly number[] }
type View = Viewer.ViewSettings;

/** Colours in all corners, alpha in steps, and hidden colour where nothing is seen. */
const picture = (width: number, height: number, phase: number): Rgba => ({
  width, height,
  data: Array.from({ length: width * height }, (_, at) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    const alpha = y < height / 2 ? 255 : [0, 64, 128, 255][(x + phase) % 4]!;
    return [(x * 37 + phase * 90) % 256, (y * 29 + phase * 30) % 256, (x * y * 7 + phase * 11) % 256, alpha];
  }).flat(),
});
const first = picture(24, 20, 0);
const second = picture(24, 20, 1);
const small = picture(12, 10, 1);

/** The colours of the heat map from its four stops, 0 to 255. */
const heat = (value: number): number[] => {
  const stops = [[0, 0, 10.2], [107.1, 17.85, 112.2], [226.95, 89.25, 51], [252.45, 249.9, 160.65]];
  const at = Math.min(2.999997, Math.max(0, value) * 3);
  const low = Math.floor(at);
  return stops[low]!.map((from, channel) => from + (stops[low + 1]![channel]! - from) * (at - low));
};

function expected(a: Rgba, b: Rgba, { mode, gain, split }: View): number[][] {
  return Array.from({ length: a.width * a.height }, (_, at) => {
    const [x, y] = [at % a.width, Math.floor(at / a.width)];
    const read = (image: Rgba): number[] => {
      const index = Math.floor((y + 0.5) / a.height * image.height) * image.width + Math.floor((x + 0.5) / a.width * image.width);
      return image.data.slice(4 * index, 4 * index + 4);
    };
    const [one, two] = [read(a), read(b)];
    const seen = (pixel: number[]): number[] => [...pixel.slice(0, 3).map((value) => value * pixel[3]! / 255), pixel[3]!];
    if (mode === 'difference') return heat(Math.max(...seen(one).map((value, channel) => Math.abs(value - seen(two)[channel]!))) / 255 * gain);
    const board = ((x >> 3) + (y >> 3)) % 2 === 0 ? 0.36 * 255 : 0.5 * 255;
    const [red, green, blue, alpha] = mode === 'alpha' || (x + 0.5) / a.width < split ? one : two;
    return [red!, green!, blue!].map((value) => value * alpha! / 255 + board * (1 - alpha! / 255));
  });
}

const cases: readonly (readonly [string, View, Rgba])[] = [
  ['transparency on a checkerboard', { mode: 'alpha', gain: 1, split: 0.5 }, second],
  ['differences as heat', { mode: 'difference', gain: 1, split: 0.5 }, second],
  ['differences four times as hot', { mode: 'difference', gain: 4, split: 0.5 }, second],
  ['no difference', { mode: 'difference', gain: 4, split: 0.5 }, first],
  ['a wipe at a third', { mode: 'compare', gain: 1, split: 0.333 }, second],
  ['a wipe with a smaller picture', { mode: 'compare', gain: 1, split: 0.25 }, small],
];

describe.skipIf(program === undefined)('the viewer', () => {
  const out = mkdtempSync(join(tmpdir(), 'adora-viewer-'));
  let browser: Browser;
  let page: Page;
  let missing: string | null = null;
  const complaints: string[] = [];

  beforeAll(async () => {
    await build({
      configFile: false, logLevel: 'error', publicDir: false,
      build: { outDir: out, minify: false, lib: { entry: join(root, 'src-renderer/ui/picture-view.ts'), formats: ['es'], fileName: () => 'viewer.js' } },
    });
    browser = await chromium.launch({ executablePath: program!, args: flags, env: env as Record<string, string> });
    page = await browser.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
    const png = ({ data, width, height }: Rgba): Promise<Buffer> => sharp(Uint8Array.from(data), { raw: { width, height, channels: 4 } }).png().toBuffer();
    const files: Record<string, { body: Buffer | string; contentType: string }> = {
      '/': { body: '<!doctype html><title>viewer</title><script type="module" src="/start.js"></script>', contentType: 'text/html' },
      '/start.js': { body: "import * as viewer from '/viewer.js'; window.viewer = viewer;", contentType: 'text/javascript' },
      '/viewer.js': { body: readFileSync(join(out, 'viewer.js')), contentType: 'text/javascript' },
      '/first.png': { body: await png(first), contentType: 'image/png' },
      '/second.png': { body: await png(second), contentType: 'image/png' },
      '/small.png': { body: await png(small), contentType: 'image/png' },
      '/favicon.ico': { body: '', contentType: 'image/png' },
    };
    // A secure context, without which there is no WebGPU.
    await page.route('http://localhost/**', (route) => route.fulfill(files[new URL(route.request().url()).pathname] ?? { status: 404 }));
    await page.goto('http://localhost/');
    await page.waitForFunction(() => 'viewer' in window);
    missing = await page.evaluate(async () => {
      const { gpu } = navigator as unknown as { gpu?: { requestAdapter(): Promise<unknown> } };
      return gpu === undefined ? 'the browser has no WebGPU' : await gpu.requestAdapter() === null ? 'the browser has no adapter for WebGPU, not even SwiftShader' : null;
    });
    if (missing !== null) process.stderr.write(`WebGPU is not tested in the viewer: ${missing}.\n`);
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(out, { recursive: true, force: true });
  });

  const drawn = (way: 'gpu' | 'plain', other: string, settings: View): Promise<{ how: string; pixels: number[] } | null> => page.evaluate(async ([wanted, name, view]) => {
    const { openView } = (window as unknown as { viewer: typeof Viewer }).viewer;
    const canvas = document.createElement('canvas');
    document.body.append(canvas);
    const opened = await openView(canvas, ['/first.png', `/${name}.png`], new AbortController().signal, wanted);
    if (opened === null) return null;
    // A second draw goes over the first, as when the edge is moved.
    opened.draw({ mode: 'compare', gain: 1, split: 1 });
    opened.draw(view);
    // Read before the browser has taken the picture to the screen.
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d')!;
    copy.drawImage(canvas, 0, 0);
    const pixels = [...copy.getImageData(0, 0, canvas.width, canvas.height).data];
    opened.close();
    canvas.remove();
    return { how: opened.how, pixels };
  }, [way, other, settings] as const);

  const nameOf = (image: Rgba): string => (image === small ? 'small' : image === second ? 'second' : 'first');
  /** 8 bits, twice rounded where colour lies under alpha: two counts; heat multiplies what goes in. */
  const worst = (pixels: readonly number[], wanted: readonly (readonly number[])[]): number =>
    wanted.reduce((most, colour, at) => colour.reduce((own, value, channel) => Math.max(own, Math.abs(value - pixels[4 * at + channel]!)), most), 0);

  beforeEach(({ skip, task }) => skip(missing !== null && task.name.startsWith('WebGPU'), missing ?? ''));

  test.each(cases)('WebGPU draws %s', async (_, settings, other) => {
    const result = await drawn('gpu', nameOf(other), settings);
    expect(result?.how).toBe('WebGPU');
    expect(worst(result!.pixels, expected(first, other, settings))).toBeLessThanOrEqual(1);
  });

  test.each(cases)('the plain canvas draws %s, as WebGPU does', async (_, settings, other) => {
    const result = await drawn('plain', nameOf(other), settings);
    expect(result?.how).toBe('Canvas');
    const tolerance = settings.mode === 'difference' ? 2 + 3 * settings.gain : 2;
    expect(worst(result!.pixels, expected(first, other, settings))).toBeLessThanOrEqual(tolerance);
  });

  test('nothing complained', () => {
    expect(complaints).toEqual([]);
  });
});
