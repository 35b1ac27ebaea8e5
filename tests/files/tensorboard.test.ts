import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from 'vitest';
import { crc32c, openTensorboard } from '../../src-main/files/tensorboard.ts';
import { refusal, temporaryFolder } from './temporary.ts';

interface Event {
  wallTime?: number;
  step?: number;
  version?: string;
  tag?: string;
  value?: number;
  status?: number;
}

/** Takes the frames apart as the format is described, checks both sums of each, and decodes the messages. */
function readEvents(path: string): Event[] {
  const bytes = readFileSync(path);
  const unmask = (masked: number): number => {
    const rotated = (masked - 0xa282ead8) >>> 0;
    return ((rotated >>> 17) | (rotated << 15)) >>> 0;
  };
  const events: Event[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    expect(unmask(bytes.readUInt32LE(at + 8))).toBe(crc32c(bytes.subarray(at, at + 8)));
    const payload = bytes.subarray(at + 12, at + 12 + length);
    expect(unmask(bytes.readUInt32LE(at + 12 + length))).toBe(crc32c(payload));
    events.push(decode(payload));
    at += 16 + length;
  }
  return events;
}

function decode(payload: Uint8Array): Event {
  const event: Event = {};
  const walk = (bytes: Uint8Array, field: (number: number, reader: BinaryReader) => void): void => {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) field(reader.tag()[0], reader);
  };
  walk(payload, (number, reader) => {
    if (number === 1) event.wallTime = reader.double();
    else if (number === 2) event.step = Number(reader.int64());
    else if (number === 3) event.version = reader.string();
    else if (number === 5) {
      walk(reader.bytes(), (_, summary) => walk(summary.bytes(), (field, value) => {
        if (field === 1) event.tag = value.string();
        else if (field === 2) event.value = value.float();
        else expect.fail(`field ${field}`);
      }));
    } else if (number === 7) {
      walk(reader.bytes(), (field, log) => {
        expect(field).toBe(1);
        event.status = log.int32();
      });
    } else expect.fail(`field ${number}`);
  });
  return event;
}

describe('TensorBoard files', () => {
  it('uses CRC-32C', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(0))).toBe(0);
  });

  it('has the exact bytes of a version event', () => {
    const board = openTensorboard(temporaryFolder(), 1.5);
    board.close();
    expect(readFileSync(board.path).subarray(12, -4).toString('hex'))
      .toBe(`09${'000000000000f83f'}1a0d${Buffer.from('brain.Event:2').toString('hex')}`);
  });

  it('writes events that can be read at any time, and goes on in a new file', () => {
    const folder = join(temporaryFolder(), 'a', 'board');
    const board = openTensorboard(folder, 1700000000.25);
    board.scalar('loss', 1, 0.5, 1700000001);
    expect(readEvents(board.path)).toEqual([
      { wallTime: 1700000000.25, version: 'brain.Event:2' }, { wallTime: 1700000001, step: 1, tag: 'loss', value: 0.5 },
    ]);
    board.scalar('größe/x', 3_000_000_000, NaN, 1700000002);
    board.close();
    board.close();
    expect(readEvents(board.path)[2])
      .toEqual({ wallTime: 1700000002, step: 3_000_000_000, tag: 'größe/x', value: NaN });
    const next = openTensorboard(folder, 1700000000.25);
    next.scalar('loss', 2, 0.25, 1700000003);
    next.close();
    expect(next.path).not.toBe(board.path);
    expect(readEvents(board.path)).toHaveLength(3);
    expect(readdirSync(folder)).toHaveLength(2);
    // TensorBoard takes files whose names contain this for event files.
    for (const name of readdirSync(folder)) expect(name).toMatch(/^events\.out\.tfevents\.1700000000\./);
  });

  it('says when it cannot be written', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    refusal('files.not-a-folder', () => openTensorboard(join(folder, 'file'), 1));
  });

  it('says from which step on a resumed run replaces earlier values', () => {
    const board = openTensorboard(temporaryFolder(), 100);
    board.restart(5, 101);
    board.scalar('loss', 5, 0.5, 102);
    board.close();
    // SessionLog.START is 1: readers drop what they have of step 5 and later.
    expect(readEvents(board.path).slice(1)).toEqual([{ wallTime: 101, step: 5, status: 1 }, { wallTime: 102, step: 5, tag: 'loss', value: 0.5 }]);
  });
});
