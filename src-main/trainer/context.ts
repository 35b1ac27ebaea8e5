// What a command of a trainer process gets besides its request, and how it tells of its progress.

import type { TrainEvent, TrainEventOf } from '../contract/events.ts';
import { phaseCode } from '../contract/said-codes.ts';
import { say, type Text } from '../contract/text.ts';
import type { Control } from './control.ts';

export interface CommandContext {
  readonly control: Control;
  readonly onEvent: (event: TrainEvent) => void;
  /** What is known of the result, in case that this process breaks off. */
  readonly onSaid: (result: unknown) => void;
  readonly onProgress: (label: Text, done: number, total: number, unit: string) => void;
}

export const phaseText = ({ name, about }: Pick<TrainEventOf<'phase'>, 'name' | 'about'>): Text =>
  (about === undefined ? say(phaseCode(name), sentence(name)) : say(phaseCode(name), `${sentence(name)} ${about}`, { about }));

const sentence = (name: string): string => name.slice(0, 1).toUpperCase() + name.slice(1);
