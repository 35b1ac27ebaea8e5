// Two pictures through shaders/viewer.wgsl. One device serves all views of the page.
import shader from '../../shaders/viewer.wgsl?raw';
import { modes, type PictureView, type ViewSettings } from './picture-view.ts';

// The few parts of WebGPU that are used; TypeScript's DOM library does not know it.
interface Gpu {
  requestAdapter(): Promise<{ requestDevice(): Promise<Device> } | null>;
  getPreferredCanvasFormat(): string;
}
interface Device {
  readonly queue: {
    copyExternalImageToTexture(from: unknown, to: unknown, size: readonly number[]): void;
    writeBuffer(buffer: unknown, at: number, data: BufferSource): void;
    submit(commands: readonly unknown[]): void;
  };
  readonly lost: Promise<unknown>;
  createShaderModule(options: unknown): unknown;
  createRenderPipelineAsync(options: unknown): Promise<{ getBindGroupLayout(at: number): unknown }>;
  createTexture(options: unknown): { createView(): unknown; destroy(): void };
  createBuffer(options: unknown): { destroy(): void };
  createBindGroup(options: unknown): unknown;
  createCommandEncoder(): { beginRenderPass(options: unknown): Pass; finish(): unknown };
}
interface Pass {
  setPipeline(pipeline: unknown): void;
  setBindGroup(at: number, group: unknown): void;
  draw(corners: number): void;
  end(): void;
}
interface CanvasContext {
  configure(options: unknown): void;
  unconfigure(): void;
  getCurrentTexture(): { createView(): unknown };
}
interface Engine {
  readonly device: Device;
  readonly pipeline: { getBindGroupLayout(at: number): unknown };
  readonly format: string;
}

let engine: Promise<Engine | null> | null = null;

/** Compiled once; null where there is no WebGPU. A device that is lost is asked for anew. */
function openEngine(): Promise<Engine | null> {
  engine ??= (async () => {
    const { gpu } = navigator as unknown as { readonly gpu?: Gpu };
    const adapter = await gpu?.requestAdapter();
    if (gpu === undefined || adapter === null || adapter === undefined) return null;
    const device = await adapter.requestDevice();
    void device.lost.then(() => { engine = null; });
    const format = gpu.getPreferredCanvasFormat();
    const module = device.createShaderModule({ code: shader });
    const pipeline = await device.createRenderPipelineAsync({
      layout: 'auto', vertex: { module, entryPoint: 'corner' }, fragment: { module, entryPoint: 'shade', targets: [{ format }] }, primitive: { topology: 'triangle-list' },
    });
    return { device, pipeline, format };
  })().catch(() => null);
  return engine;
}

// Flags of WebGPU: copy target, binding, render target for textures; copy target, uniform for buffers.
const TEXTURE = 0x02 | 0x04 | 0x10;
const UNIFORM = 0x08 | 0x40;
const SQUARE = 8;

/** Null where there is no WebGPU; the canvas is untouched then. */
export async function openGpuView(canvas: HTMLCanvasElement, first: ImageBitmap, second: ImageBitmap): Promise<PictureView | null> {
  const opened = await openEngine();
  if (opened === null) return null;
  const { device, pipeline, format } = opened;
  const context = canvas.getContext('webgpu') as unknown as CanvasContext | null;
  if (context === null) return null;
  context.configure({ device, format, alphaMode: 'opaque' });
  const textures = [first, second].map((image) => {
    const texture = device.createTexture({ size: [image.width, image.height], format: 'rgba8unorm', usage: TEXTURE });
    device.queue.copyExternalImageToTexture({ source: image }, { texture, premultipliedAlpha: false }, [image.width, image.height]);
    return texture;
  });
  const uniform = device.createBuffer({ size: 32, usage: UNIFORM });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer: uniform } }, ...textures.map((texture, at) => ({ binding: at + 1, resource: texture.createView() }))],
  });
  return {
    how: 'WebGPU',
    draw: ({ mode, gain, split }: ViewSettings) => {
      device.queue.writeBuffer(uniform, 0, new Float32Array([canvas.width, canvas.height, modes.indexOf(mode), gain, split, SQUARE, 0, 0]));
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginRenderPass({ colorAttachments: [{ view: context.getCurrentTexture().createView(), loadOp: 'clear', storeOp: 'store', clearValue: [0, 0, 0, 1] }] });
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.draw(3);
      pass.end();
      device.queue.submit([encoder.finish()]);
    },
    close: () => {
      for (const thing of [...textures, uniform]) thing.destroy();
      context.unconfigure();
    },
  };
}
