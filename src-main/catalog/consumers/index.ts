// The programs that read adapters, by the name that stands in jobs.
import type { Program } from '../define/format.ts';
import type { ConsumerProgram } from '../define/consumer.ts';
import { a1111 } from './a1111.ts';
import { comfyui } from './comfyui.ts';
import { diffusers } from './diffusers.ts';
import { forge } from './forge.ts';
import { invokeai } from './invokeai.ts';

export const consumers: Readonly<Record<Program, ConsumerProgram>> = { comfyui, a1111, forge, invokeai, diffusers };
