// The noise schedule for the rest of the program; the arithmetic stands in define/, where catalog files may see it.
export { alphasCumprodOf } from './define/noise.ts';
