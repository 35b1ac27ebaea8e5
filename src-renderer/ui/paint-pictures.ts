// Draws two pictures with the WGSL of shaders/viewer.wgsl, or where there is no WebGPU, the same arithmetic on a plain canvas.
import shader from '../../shaders/viewer.wgsl?raw';

export type ViewMode = 'alpha' | 'difference' | 'compare';
export interface ViewRequest {
  readonly first: string;
  readonly second: string;
  readonly mode: ViewMode;
  /** A difference of 1 / gain is the hottest colour. */
  readonly gain: number;
  /** Share of the width that shows the first picture, in the mode 'compare'. */
  readonly split?: number;
}
const modes: readonly ViewMode[] = ['alpha', 'difference', 'compare'];

async function load(url: string, signal: AbortSignal): Promise<ImageBitmap> {
  const answer = await fetch(url, { signal }).catch(() => null);
  if (answer?.ok === true) return createImageBitmap(await answer.blob(), { premultiplyAlpha: 'none' });
  // img:// of the desktop app is for image elements.
  const image = new Image();
  image.src = url;
  await image.decode();
  return createImageBitmap(image);
}

/** Resolves to the name of what drew. */
export async function paintPictures(canvas: HTMLCanvasElement, request: ViewRequest, signal: AbortSignal): Promise<string> {
  const [first, second] = await Promise.all([load(request.first, signal), load(request.second, signal)]);
  signal.throwIfAborted();
  canvas.width = Math.max(first.width, second.width);
  canvas.height = Math.max(first.height, second.height);
  if (await paintOnGpu(canvas, first, second, request).catch(() => false)) return 'WebGPU';
  if (signal.aborted) return '';
  paintPlain(canvas, first, second, request);
  return 'Canvas';
}

interface Gpu {
  requestAdapter(): Promise<{ requestDevice(): Promise<GpuDevice> } | null>;
  getPreferredCanvasFormat(): string;
}
// The few parts of WebGPU that are used; TypeScript's DOM library does not know it.
type GpuDevice = { readonly [name in 'createShaderModule' | 'createRenderPipeline' | 'createTexture' | 'createBuffer' | 'createBindGroup' | 'createCommandEncoder']: (options?: unknown) => GpuThing }
  & { readonly queue: { copyExternalImageToTexture(from: unknown, to: unknown, size: readonly number[]): void; writeBuffer(buffer: unknown, at: number, data: BufferSource): void; submit(commands: readonly unknown[]): void }; destroy(): void };
type GpuThing = { readonly [name in 'getBindGroupLayout' | 'createView' | 'beginRenderPass' | 'setPipeline' | 'setBindGroup' | 'draw' | 'end' | 'finish']: (...args: readonly unknown[]) => GpuThing };

async function paintOnGpu(canvas: HTMLCanvasElement, first: ImageBitmap, second: ImageBitmap, request: ViewRequest): Promise<boolean> {
  const gpu = (navigator as unknown as { readonly gpu?: Gpu }).gpu;
  const adapter = await gpu?.requestAdapter();
  if (gpu === undefined || adapter === null || adapter === undefined) return false;
  const device = await adapter.requestDevice();
  const context = canvas.getContext('webgpu') as unknown as { configure(options: unknown): void; getCurrentTexture(): GpuThing } | null;
  if (context === null) return false;
  const format = gpu.getPreferredCanvasFormat();
  context.configure({ device, format, alphaMode: 'opaque' });
  const module = device.createShaderModule({ code: shader });
  const pipeline = device.createRenderPipeline({ layout: 'auto', vertex: { module, entryPoint: 'corner' }, fragment: { module, entryPoint: 'shade', targets: [{ format }] }, primitive: { topology: 'triangle-list' } });
  // 4 copy source | binding | render target, as the flags of WebGPU stand.
  const texture = (image: ImageBitmap): GpuThing => {
    const made = device.createTexture({ size: [image.width, image.height], format: 'rgba8unorm', usage: 0x02 | 0x04 | 0x10 });
    device.queue.copyExternalImageToTexture({ source: image }, { texture: made, premultipliedAlpha: false }, [image.width, image.height]);
    return made.createView();
  };
  const settings = device.createBuffer({ size: 32, usage: 0x40 | 0x08 });
  device.queue.writeBuffer(settings, 0, new Float32Array([canvas.width, canvas.height, modes.indexOf(request.mode), request.gain, request.split ?? 0.5, 8, 0, 0]));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer: settings } }, { binding: 1, resource: texture(first) }, { binding: 2, resource: texture(second) }] });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginRenderPass({ colorAttachments: [{ view: context.getCurrentTexture().createView(), loadOp: 'clear', storeOp: 'store', clearValue: [0, 0, 0, 1] }] });
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.draw(3);
  pass.end();
  device.queue.submit([encoder.finish()]);
  return true;
}

function pixels(image: ImageBitmap, width: number, height: number): Uint8ClampedArray {
  const context = new OffscreenCanvas(width, height).getContext('2d')!;
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

function paintPlain(canvas: HTMLCanvasElement, first: ImageBitmap, second: ImageBitmap, request: ViewRequest): void {
  const { width, height } = canvas;
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('The canvas is in use.');
  const [a, b] = [pixels(first, width, height), pixels(second, width, height)];
  const out = context.createImageData(width, height);
  for (let at = 0; at < a.length; at += 4) {
    const pixel = at / 4;
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    const board = ((x >> 3) + (y >> 3)) % 2 === 0 ? 0.36 : 0.5;
    const colour = request.mode === 'difference' ? heat(difference(a, b, at) * request.gain)
      : onBoard(request.mode === 'alpha' || x < width * (request.split ?? 0.5) ? a : b, at, board);
    for (let channel = 0; channel < 3; channel++) out.data[at + channel] = colour[channel]! * 255;
    out.data[at + 3] = 255;
  }
  context.putImageData(out, 0, 0);
}

/** The largest difference of a channel, alpha included: 0 to 1. */
export function difference(a: Uint8ClampedArray, b: Uint8ClampedArray, at: number): number {
  let most = 0;
  for (let channel = 0; channel < 4; channel++) most = Math.max(most, Math.abs(a[at + channel]! - b[at + channel]!));
  return most / 255;
}

const stops = [[0, 0, 0.04], [0.42, 0.07, 0.44], [0.89, 0.35, 0.2], [0.99, 0.98, 0.63]] as const;

/** Black over violet and orange to yellow: brightness rises all the way, so it reads without colour too. */
export function heat(value: number): [number, number, number] {
  const at = Math.min(0.999999, Math.max(0, value)) * (stops.length - 1);
  const [low, high] = [stops[Math.floor(at)]!, stops[Math.floor(at) + 1]!];
  const share = at % 1;
  return [0, 1, 2].map((channel) => low[channel]! + (high[channel]! - low[channel]!) * share) as [number, number, number];
}

function onBoard(image: Uint8ClampedArray, at: number, board: number): number[] {
  const alpha = image[at + 3]! / 255;
  return [0, 1, 2].map((channel) => image[at + channel]! / 255 * alpha + board * (1 - alpha));
}
