// The page in a made-up language: on no screen and in no dialog may a sentence of the app's or of the page's be left in English.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join, resolve } from 'node:path';

import { chromium, type Browser, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { api, type Method } from '../../src-main/contract/api.ts';
import { leftovers, otherLanguage } from './other-language.ts';
import { program } from './pages.ts';
import { standIn } from './stand-in.ts';

/** What the user or a file called so, and names of programs, keys and units. */
const NAMES = /^(?:\d|Adora|ink|Ink|picture-|pictures$|two hills|a (?:lighthouse|boat|bridge)|starter|\/home|home$|models|My ink|For portraits|sd15|masked_training|OneTrainer|lora_unet|modelspec|down_blocks|up_blocks|mid_block|kohya|ComfyUI|DoRA|LoRA|dora|lora|Stable Diffusion|f16|f32|Ctrl|Xx|English|job\.toml|CUDA|a watercolor|ink-)/;

describe('the stand-in of the app', () => {
  test('answers as the contract says', async () => {
    const answers = new Map<number, (message: { ok: boolean; output: unknown }) => void>();
    const place = globalThis as unknown as { window?: { adora: { onMessage(heard: (message: never) => void): void; post(message: unknown): void } } };
    place.window = {} as never;
    try {
      standIn({ pictures: 3, theme: 'dark' });
      const { adora } = place.window!;
      adora.onMessage(((message: { id: number; ok: boolean; output: unknown }) => answers.get(message.id)?.(message)) as never);
      const wrong: string[] = [];
      for (const [id, method] of (Object.keys(api) as Method[]).entries()) {
        const input = { limit: 2, offset: 0, items: [{}], intensity: 0.5 };
        const answer = await new Promise<{ ok: boolean; output: unknown }>((done) => { answers.set(id, done); adora.post({ id, method, input }); });
        if (!answer.ok) continue;
        const checked = api[method].output.safeParse(JSON.parse(JSON.stringify(answer.output)));
        if (!checked.success) wrong.push(`${method}: ${checked.error.issues.slice(0, 3).map(({ path, message }) => `${path.join('.')} ${message}`).join('; ')}`);
      }
      expect(wrong).toEqual([]);
    } finally {
      delete place.window;
    }
  });
});
