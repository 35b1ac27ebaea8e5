// Memory of the GPUs, where the system tells: NVIDIA's own tool, and what the amdgpu driver of Linux shows.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface GraphicsMemory {
  readonly name: string;
  /** Bytes. */
  readonly total: number;
  readonly free: number | null;
}

const MEBIBYTE = 2 ** 20;
const QUERY = ['--query-gpu=name,memory.total,memory.free', '--format=csv,noheader,nounits'];
const WAIT_SECONDS = 5;

/** What can be known; an empty list says nothing about whether there is a GPU. */
export async function graphicsMemory(cards = '/sys/class/drm'): Promise<GraphicsMemory[]> {
  const listed = await new Promise<string>((resolve) => {
    execFile('nvidia-smi', QUERY, { timeout: WAIT_SECONDS * 1000 }, (error, stdout) => resolve(error ? '' : stdout));
  });
  return [...parseNvidia(listed), ...amdCards(cards)];
}

/** Lines "NVIDIA H100 80GB HBM3, 81559, 80994": name, then mebibytes. */
export function parseNvidia(text: string): GraphicsMemory[] {
  return text.split('\n').flatMap((line) => {
    const [, name, total, free] = /^(.+), *(\d+), *(\d+|\[.*\])\s*$/.exec(line) ?? [];
    return name ? [{ name, total: Number(total) * MEBIBYTE, free: Number.isNaN(Number(free)) ? null : Number(free) * MEBIBYTE }] : [];
  });
}

function amdCards(folder: string): GraphicsMemory[] {
  try {
    return readdirSync(folder).filter((name) => /^card\d+$/.test(name)).flatMap((name) => {
      const number = (file: string): number => Number(readFileSync(join(folder, name, 'device', file), 'utf8'));
      try {
        const total = number('mem_info_vram_total');
        return [{ name: `AMD ${name}`, total, free: total - number('mem_info_vram_used') }];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}
