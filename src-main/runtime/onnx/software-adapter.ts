// Whether WebGPU computes on the CPU. ONNX Runtime does not tell which adapter it took, but a driver leaves traces in the
// process: the libraries it consists of, and on Linux the device files that it keeps open.

export interface AdapterTraces {
  readonly platform: string;
  /** Paths of the libraries that the process has loaded. */
  readonly libraries: readonly string[];
  /** Device files that the process has open; Linux only. */
  readonly deviceNodes: readonly string[];
}

const SOFTWARE: readonly (readonly [name: string, library: RegExp])[] = [
  ['SwiftShader', /vk_swiftshader/i],
  ['llvmpipe', /vulkan_lvp|lavapipe|llvmpipe/i],
  ['WARP', /d3d10warp/i],
];

/** Every GPU driver of Linux talks to its kernel part through one of these. */
const GPU_NODE = /^\/dev\/(dri\/(renderD|card)\d+|nvidia(\d+|ctl)|dxg$|kgsl|mali\d)/;

/** User-mode parts of Direct3D 12 drivers: NVIDIA, AMD, Intel, Qualcomm. WARP is loaded beside them, to be listed. */
const GPU_LIBRARY = /[\\/](nvwgf2um|nvd3dum|amdxc|amdxn|amdxx|atidxx|igd12um|igc64|qcdx12)[^\\/]*\.dll$/i;

/** Name of the software adapter, or null when a GPU computes. Without a sign of a GPU it is taken for software. */
export function softwareAdapter({ platform, libraries, deviceNodes }: AdapterTraces): string | null {
  // Metal has no software adapter.
  if (platform === 'darwin') return null;
  const hasGpu = platform === 'linux' ? deviceNodes.some((path) => GPU_NODE.test(path)) : libraries.some((path) => GPU_LIBRARY.test(path));
  const software = SOFTWARE.find(([, library]) => libraries.some((path) => library.test(path)))?.[0];
  if (hasGpu) return null;
  // A Windows driver of a kind that is not listed above counts as a GPU unless WARP is there instead.
  return software ?? (platform === 'linux' ? 'unknown driver' : null);
}
