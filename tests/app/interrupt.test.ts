import { expect, test } from 'vitest';

import { listenForInterrupt } from '../../src-main/cli/interrupt.ts';

test('the first signal asks to stop, its echo is ignored, a later one exits', () => {
  let time = 1000;
  let asked = 0;
  const exits: number[] = [];
  const interrupt = listenForInterrupt(() => { asked += 1; }, () => time, (code) => { exits.push(code); });
  try {
    expect(interrupt.shouldStop()).toBe(false);
    process.emit('SIGINT');
    expect(interrupt.shouldStop()).toBe(true);
    time += 20;
    process.emit('SIGTERM');
    expect([asked, exits]).toEqual([1, []]);
    time += 2000;
    process.emit('SIGINT');
    expect([asked, exits]).toEqual([1, [130]]);
  } finally {
    interrupt.dispose();
  }
});
