// Two pictures in one canvas: by WebGPU, or where there is none by the same arithmetic on a plain one.
import { openGpuView } from './gpu-view.ts';
import { openPlainView } from './plain-view.ts';

/** In the order of the shader's numbers. */
export const modes = ['alpha', 'difference', 'compare'] as const;
export type ViewMode = (typeof modes)[number];

export interface ViewSettings {
  readonly mode: ViewMode;
  /** A difference of 1 / gain is the hottest colour. */
  readonly gain: number;
  /** Share of the width that shows the first picture, in the mode 'compare'. */
  readonly split: number;
}

export interface PictureView {
  /** What draws. */
  readonly how: 'WebGPU' | 'Canvas';
  /** At once: the canvas shows it when this returns. */
  draw(settings: ViewSettings): void;
  close(): void;
}

async function load(url: string, signal: AbortSignal): Promise<ImageBitmap> {
  const answer = await fetch(url, { signal });
  if (!answer.ok) throw new Error('The picture is not there.');
  return createImageBitmap(await answer.blob(), { premultiplyAlpha: 'none' });
}

/**
 * Opens two pictures in a canvas that nothing has drawn into. While a training has the graphics card to itself, WebGPU is
 * left alone.
 * @param way 'gpu': null rather than a plain view
 */
export async function openView(canvas: HTMLCanvasElement, urls: readonly [string, string], signal: AbortSignal, way: 'any' | 'gpu' | 'plain' = 'any'): Promise<PictureView | null> {
  const [first, second] = await Promise.all(urls.map((url) => load(url, signal))) as [ImageBitmap, ImageBitmap];
  signal.throwIfAborted();
  canvas.width = Math.max(first.width, second.width);
  canvas.height = Math.max(first.height, second.height);
  const isSpared = way === 'plain' || document.documentElement.hasAttribute('data-sparing');
  const gpu = isSpared ? null : await openGpuView(canvas, first, second).catch(() => null);
  if (signal.aborted) gpu?.close();
  signal.throwIfAborted();
  const view = gpu ?? (way === 'gpu' ? null : openPlainView(canvas, first, second));
  // Both ways have taken what they need.
  for (const image of [first, second]) image.close();
  return view;
}
