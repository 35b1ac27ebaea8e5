import { expect, test } from 'vitest';
import { softwareAdapter } from '../../src-main/runtime/onnx/software-adapter.ts';

test.each([
  ['SwiftShader beside a GPU that is not used', 'linux', ['/usr/lib/chromium/libvk_swiftshader.so', '/usr/lib/libvulkan_radeon.so'], ['/dev/null', '/dev/urandom'], 'SwiftShader'],
  ['Mesa without a GPU: all drivers are loaded', 'linux', ['/usr/lib/libvulkan_lvp.so', '/usr/lib/libvulkan_intel.so'], ['/dev/udmabuf'], 'llvmpipe'],
  ['Mesa with a GPU', 'linux', ['/usr/lib/libvulkan_lvp.so', '/usr/lib/libvulkan_radeon.so'], ['/dev/dri/renderD128'], null],
  ['NVIDIA', 'linux', ['/usr/lib/libGLX_nvidia.so.0'], ['/dev/nvidiactl', '/dev/nvidia0'], null],
  ['a driver without a device', 'linux', ['/usr/lib/libsomething.so'], [], 'unknown driver'],
  ['WARP alone', 'win32', ['C:\\Windows\\System32\\D3D12Core.dll', 'C:\\Windows\\System32\\d3d10warp.dll'], [], 'WARP'],
  ['WARP listed beside a GPU', 'win32', ['C:\\Windows\\System32\\d3d10warp.dll', 'C:\\Windows\\System32\\DriverStore\\x\\nvwgf2umx.dll'], [], null],
  ['a new Windows driver', 'win32', ['C:\\Windows\\System32\\DriverStore\\x\\newgpu64.dll'], [], null],
  ['macOS', 'darwin', ['/System/Library/Frameworks/Metal.framework/Metal'], [], null],
] as const)('%s', (_, platform, libraries, deviceNodes, expected) => {
  expect(softwareAdapter({ platform, libraries, deviceNodes })).toBe(expected);
});
