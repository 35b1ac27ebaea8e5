// A command in a trainer process: what counts when the process breaks off, and processes that a trainer asks for.
import { fork } from 'node:child_process';
import { rmSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { callTrainer } from '../../src-main/app/trainer/call.ts';
import { forkHost } from '../../src-main/app/trainer/fork-host.ts';
import type { WorkerHost } from '../../src-main/app/trainer/worker-host.ts';
import type { FromTrainer, ToTrainer } from '../../src-main/contract/trainer.ts';
import { missingWebGpu, useSwiftShader } from '../device/swiftshader.ts';
import { buildTrainer } from './studio-home.ts';

/** Workers that do what a script says with each message they get. */
function scripted(script: (message: ToTrainer, say: (reply: FromTrainer) => void, end: (code: number) => void, worker: number) => void): WorkerHost {
  let workers = 0;
  return {
    start: () => {
      const worker = workers++;
      const listeners: ((message: FromTrainer) => void)[] = [];
      const exits: ((end: { code: number | null; signal: string | null }) => void)[] = [];
      return {
        send: (message) => void setImmediate(() => script(message, (reply) => { for (const listener of listeners) listener(reply); }, (code) => { for (const exit of exits) exit({ code, signal: null }); }, worker)),
        onMessage: (listener) => void listeners.push(listener),
        onExit: (listener) => void exits.push(listener),
        kill: () => {},
      };
    },
  };
}

describe('messages', () => {
  test('a process that broke off counts by what it had said; without a word it crashed', async () => {
    const spoke = scripted((_, say, end) => { say({ kind: 'said', result: { ok: true } }); say({ kind: 'said', result: { ok: true, f16: true } }); end(134); });
    expect(await callTrainer(spoke, 'trial', { device: 'webgpu' }).result).toEqual({ ok: true, f16: true });
    const silent = scripted((_, _say, end) => end(134));
    await expect(callTrainer(silent, 'trial', { device: 'webgpu' }).result).rejects.toMatchObject({ code: 'trainer.crashed' });
  });

  test('a trainer that asks gets the answer of a process of its own; null when that one crashed', async () => {
    const answers: unknown[] = [];
    const host = scripted((message, say, end, worker) => {
      if (worker === 0 && message.kind === 'start') {
        say({ kind: 'ask', id: 7, command: 'trial', request: { device: 'webgpu' } });
        say({ kind: 'ask', id: 8, command: 'trial', request: { device: 'cuda' } });
      } else if (message.kind === 'answer') {
        answers.push([message.id, message.result]);
        if (answers.length === 2) { say({ kind: 'done', result: [] }); end(0); }
      } else if (message.kind === 'start') {
        if ((message.request as { device: string }).device === 'cuda') return end(139);
        say({ kind: 'done', result: { ok: true } });
        end(0);
      }
    });
    await callTrainer(host, 'devices', {}).result;
    expect(answers).toEqual(expect.arrayContaining([[7, { ok: true }], [8, null]]));
  });
});

describe('the real trainer', () => {
  let trainer: Awaited<ReturnType<typeof buildTrainer>>;
  beforeAll(async () => {
    useSwiftShader();
    trainer = await buildTrainer();
  });
  afterAll(() => rmSync(trainer.folder, { recursive: true }));

  /** Gives a process of Node the port that Electron's utility processes have, so that the entry takes that way. */
  const asUtilityProcess = (entry: string, started: string[]): WorkerHost => ({
    start: () => {
      const port = "process.parentPort = { postMessage: (m) => process.send(m), on: (_, f) => process.on('message', (data) => f({ data })) };";
      const child = fork(entry, [], { serialization: 'advanced', execArgv: ['--import', `data:text/javascript,${encodeURIComponent(port)}`], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
      return {
        send: (message) => {
          if (message.kind === 'start') started.push(message.command);
          if (child.connected) child.send(message, () => {});
        },
        onMessage: (listener) => void child.on('message', (message) => listener(message as FromTrainer)),
        onExit: (listener) => void child.once('close', (code, signal) => listener({ code, signal })),
        kill: () => void child.kill('SIGKILL'),
      };
    },
  });

  test.skipIf(missingWebGpu !== null)('where it may not start Node, it finds the same devices through the app', async () => {
    const started: string[] = [];
    const byNode = await callTrainer(forkHost(trainer.entry), 'devices', {}).result;
    const byApp = await callTrainer(asUtilityProcess(trainer.entry, started), 'devices', {}).result;
    expect(started).toEqual(['devices', ...byNode.filter(({ name }) => name !== 'cpu' && name !== 'cuda').map(() => 'trial')]);
    expect(byApp).toEqual(byNode);
    expect(byApp.find(({ name }) => name === 'webgpu')).toMatchObject({ isUsable: true, isSoftware: true });
  });
});
