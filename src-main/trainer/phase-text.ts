// What a phase of the work is called.

import type { TrainEventOf } from '../contract/events.ts';
import { phaseCode } from '../contract/said-codes.ts';
import { say, type Text } from '../contract/text.ts';

export const phaseText = ({ name, about }: Pick<TrainEventOf<'phase'>, 'name' | 'about'>): Text =>
  (about === undefined ? say(phaseCode(name), name) : say(phaseCode(name), `${name} ${about}`, { about }));
