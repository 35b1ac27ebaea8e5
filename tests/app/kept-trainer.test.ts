// The process that is kept between two requests: who gets it, and when it is given back. The processes are stand-ins; that the
// real one paints the same pictures stands in paint-process.test.ts.
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { callTrainer, finished } from '../../src-main/app/trainer/call.ts';
import { createKeptTrainer, type KeptTrainer } from '../../src-main/app/trainer/kept-trainer.ts';
import type { WorkerHost } from '../../src-main/app/trainer/worker-host.ts';
import type { FromTrainer, ToTrainer } from '../../src-main/contract/trainer.ts';

type Answer = (message: ToTrainer & { kind: 'start' }, say: (reply: FromTrainer) => void, end: (code: number) => void) => void;

/** What became of each process, as a list of words. */
function watchedHost(answer: Answer): WorkerHost & { readonly processes: string[][] } {
  const processes: string[][] = [];
  return {
    processes,
    start: () => {
      const course: string[] = ['begins'];
      processes.push(course);
      const listeners: ((message: FromTrainer) => void)[] = [];
      const exits: ((end: { code: number | null; signal: string | null }) => void)[] = [];
      const end = (code: number): void => {
        course.push(`ends ${code}`);
        for (const exit of exits) exit({ code, signal: null });
      };
      return {
        send: (message) => void setImmediate(() => {
          if (message.kind === 'end') end(0);
          if (message.kind !== 'start') return;
          course.push(message.keep === true ? 'works' : 'works once');
          answer(message, (reply) => { for (const listener of listeners) listener(reply); }, end);
        }),
        onMessage: (listener) => void listeners.push(listener),
        onExit: (listener) => void exits.push(listener),
        kill: () => end(137),
      };
    },
  };
}

const request = { pictures: [], device: 'cpu' };
const done: Answer = (_, say) => say({ kind: 'done', result: null });
const paint = async (trainer: KeptTrainer, key: string): Promise<null> => finished(callTrainer(await trainer.for(key), 'paint', request));

describe('the kept process', () => {
  test('does one request after the other, each of which ends for whoever asked', async () => {
    const host = watchedHost(done);
    const trainer = createKeptTrainer(host);
    for (let i = 0; i < 3; i++) expect(await paint(trainer, 'a')).toBeNull();
    expect(host.processes).toEqual([['begins', 'works', 'works', 'works']]);
    await trainer.giveBack();
    expect(host.processes).toEqual([['begins', 'works', 'works', 'works', 'ends 0']]);
    await trainer.giveBack();
    await paint(trainer, 'a');
    expect(host.processes[1]).toEqual(['begins', 'works']);
  });

  test('is gone before another model gets its own', async () => {
    const host = watchedHost(done);
    const trainer = createKeptTrainer(host);
    await paint(trainer, 'a');
    const other = trainer.for('b');
    expect(host.processes).toHaveLength(1);
    await finished(callTrainer(await other, 'paint', request));
    expect(host.processes).toEqual([['begins', 'works', 'ends 0'], ['begins', 'works']]);
  });

  test('is given back when nothing was asked for a while, counted from the last request', async () => {
    const host = watchedHost(done);
    const trainer = createKeptTrainer(host, 120);
    await paint(trainer, 'a');
    await sleep(80);
    await paint(trainer, 'a');
    await sleep(80);
    expect(host.processes).toEqual([['begins', 'works', 'works']]);
    await expect.poll(() => host.processes[0]!.at(-1)).toBe('ends 0');
  });

  test('that crashes is told in a sentence for its command, and the next request has a new one', async () => {
    let isBroken = true;
    const host = watchedHost((message, say, end) => (isBroken ? end(139) : done(message, say, end)));
    const trainer = createKeptTrainer(host);
    await expect(paint(trainer, 'a')).rejects.toMatchObject({ code: 'trainer.crashed', message: expect.stringMatching(/^The process that paints ended by itself \(code 139\): try it again/) as string });
    isBroken = false;
    await paint(trainer, 'a');
    expect(host.processes).toEqual([['begins', 'works', 'ends 139'], ['begins', 'works']]);
  });

  test('that was killed while it waited is not asked any more', async () => {
    const host = watchedHost(done);
    const ends: (() => void)[] = [];
    const trainer = createKeptTrainer({ start: (command) => { const made = host.start(command); ends.push(() => made.kill()); return made; } });
    await paint(trainer, 'a');
    ends[0]!();
    await paint(trainer, 'a');
    expect(host.processes).toEqual([['begins', 'works', 'ends 137'], ['begins', 'works']]);
  });

  test('stays after an error that a user can mend, and goes after one that nobody foresaw', async () => {
    let code = 'picture.size';
    const host = watchedHost((_, say) => say({ kind: 'failed', problem: { code, message: 'no' } }));
    const trainer = createKeptTrainer(host);
    await expect(paint(trainer, 'a')).rejects.toMatchObject({ code });
    await turn();
    expect(host.processes).toEqual([['begins', 'works']]);
    code = 'internal';
    await expect(paint(trainer, 'a')).rejects.toMatchObject({ code });
    await expect(paint(trainer, 'a')).rejects.toMatchObject({ code });
    expect(host.processes.map((course) => course.join(', '))).toEqual(['begins, works, works, ends 0', 'begins, works']);
  });
});
