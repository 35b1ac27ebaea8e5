// How a process that computes is started; scripts/run.mjs, which starts the command line, reads the same settings.

import type { CommandName } from '../../contract/trainer.ts';
import settings from './engine-process.json' with { type: 'json' };

/** Arguments of Node, which hands those that are V8's on. */
export const engineArguments: readonly string[] = [...settings.nodeArguments, ...settings.v8Flags];

/**
 * Arguments of Electron's utility processes: they become switches of its command line, and V8 is set up before Node looks at any,
 * so V8's flags go by Chromium's switch for them.
 */
export const utilityArguments: readonly string[] = [`--js-flags=${settings.v8Flags.join(' ')}`];

/** The environment that a command runs in: its memory settings in place of those around it, unless they are a person's own. */
export function engineEnvironment(command: CommandName, around: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const usual: Readonly<Record<string, string>> = settings.environment;
  const others: Readonly<Record<string, Readonly<Record<string, string>>>> = settings.environmentOf;
  return { ...others[command] ?? usual, ...Object.fromEntries(Object.entries(around).filter(([name, value]) => value !== usual[name])) };
}
