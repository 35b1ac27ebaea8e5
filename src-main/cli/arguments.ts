// Argument parsers and options that several commands share.

import { InvalidArgumentError, Option, type Command } from 'commander';

import { formats } from '../catalog/formats/index.ts';
import { devices } from '../contract/devices.ts';

/** Parser of a number within [min, max]. */
export function numberBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** Parser of a whole number within [min, max]. */
export function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
      throw new InvalidArgumentError(`It must be a whole number ${range}.`);
    }
    return value;
  };
}

/** A share above 0 and at most 1. */
export function share(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && value <= 1)) throw new InvalidArgumentError('It must be above 0 and at most 1, such as 0.9.');
  return value;
}

/** Collects an option that may be given more than once. */
export function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

export const axisOption = (): Option =>
  new Option('--axis <axis>', 'what the magnitudes of an adapter belong to (rows: output, columns: input), where its file does not say').choices(['output', 'input']);

export const layoutOption = (flag: string): Option =>
  new Option(`${flag} <layout>`, 'layout of the file').choices(Object.keys(formats)).makeOptionMandatory();

export const jsonOption = (): Option => new Option('--json', 'events and results as JSON lines on stdout').default(false);

/** A base model's other files, and what its files do not say. */
export const toldBaseOptions = (command: Command): Command => command
  .addOption(new Option('--prediction <kind>', 'what the base model predicts, where its file does not say').choices(['auto', 'epsilon', 'v']).default('auto'))
  .option('--zero-terminal-snr', 'the base model was trained to begin at pure noise', false)
  .option('--clip-skip <n>', 'layer of the text encoders, from the end, whose output is used (default: that of the kind of model)', wholeNumber(1, 64))
  .option('--vae <file>', "autoencoder that is used instead of the base model's own")
  .option('--text-encoder <file>', "text encoder that is used instead of the base model's own; may be repeated", collect, []);

export const deviceOption = (): Option =>
  new Option('--device <name>', 'where to compute').choices([...devices]).default('auto');

export const dtypeOption = (): Option =>
  new Option('--dtype <format>', 'number format of weights and activations').choices(['auto', 'f32', 'f16']).default('auto');
