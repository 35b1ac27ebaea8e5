import type { Objective } from '../define/objective.ts';
export const objectiveFor = (_: string): Objective => null as never;
export const objectives = {};
