// WebGPU without a GPU: the software driver that comes with Debian's chromium. Each test file is a process of its own
// (vitest.config.ts), so that a crash of the driver ends that file only.
import { existsSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';

const DRIVER = '/usr/lib/chromium/vk_swiftshader_icd.json';
const LOADER = '/usr/lib/chromium/libvulkan.so.1';
const NO_DELETE = 0x1000;

/** Why tests on WebGPU cannot run here; null when they can. */
export const missingWebGpu: string | null = existsSync(DRIVER) ? null : `no software WebGPU: ${DRIVER} is missing (apt-get install chromium)`;

/** Must be called before the first session is made: the Vulkan loader reads its variables then. */
export function useSwiftShader(): void {
  process.env['VK_ICD_FILENAMES'] = DRIVER;
  process.env['XDG_RUNTIME_DIR'] = tmpdir();
  // For child processes; this one has its loader already.
  process.env['LD_LIBRARY_PATH'] = ['/usr/lib/chromium', process.env['LD_LIBRARY_PATH']].filter(Boolean).join(':');
  try {
    process.dlopen({ exports: {} }, LOADER, constants.dlopen.RTLD_NOW | NO_DELETE);
  } catch {
    // Without chromium's own loader the system's is used, or WebGPU is reported as missing.
  }
}
