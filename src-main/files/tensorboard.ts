// Event files that TensorBoard reads: TFRecord frames (length, masked CRC-32C of it, payload, masked CRC-32C) around
// `tensorflow.Event` protobuf messages.
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { writeError } from './file-errors.ts';

export interface Tensorboard {
  /** The event file. */
  readonly path: string;
  /** One value of one curve. `wallTime` in seconds since 1970. Error: `files.disk-full`. */
  scalar(tag: string, step: number, value: number, wallTime: number): void;
  /** Makes values at `step` and later that were written before, in this or an earlier file, void. Error: `files.disk-full`. */
  restart(step: number, wallTime: number): void;
  close(): void;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C (Castagnoli). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

const maskedCrc = (bytes: Uint8Array): number => {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
};

function frame(payload: Uint8Array): Buffer {
  const record = Buffer.alloc(16 + payload.length);
  record.writeBigUInt64LE(BigInt(payload.length), 0);
  record.writeUInt32LE(maskedCrc(record.subarray(0, 8)), 8);
  record.set(payload, 12);
  record.writeUInt32LE(maskedCrc(payload), 12 + payload.length);
  return record;
}

// Fields of tensorflow.Event: 1 wall_time, 2 step, 3 file_version, 5 summary, 7 session_log; Summary: 1 value;
// Summary.Value: 1 tag, 2 simple_value; SessionLog: 1 status, of which 1 is START.
const versionEvent = (wallTime: number): Uint8Array =>
  new BinaryWriter().tag(1, WireType.Bit64).double(wallTime).tag(3, WireType.LengthDelimited).string('brain.Event:2')
    .finish();

const scalarEvent = (tag: string, step: number, value: number, wallTime: number): Uint8Array =>
  new BinaryWriter()
    .tag(1, WireType.Bit64).double(wallTime)
    .tag(2, WireType.Varint).int64(step)
    .tag(5, WireType.LengthDelimited).fork()
    .tag(1, WireType.LengthDelimited).fork()
    .tag(1, WireType.LengthDelimited).string(tag)
    .tag(2, WireType.Bit32).float(value)
    .join().join().finish();

/** Readers drop what they have of this step and later ones when a session starts there. */
const startEvent = (step: number, wallTime: number): Uint8Array =>
  new BinaryWriter()
    .tag(1, WireType.Bit64).double(wallTime)
    .tag(2, WireType.Varint).int64(step)
    .tag(7, WireType.LengthDelimited).fork()
    .tag(1, WireType.Varint).int32(1)
    .join().finish();

/**
 * Opens a new event file in `folder` (made if missing). TensorBoard joins all event files of a folder to one set of
 * curves, so a resumed run opens another and says with `restart` from where on it replaces the earlier ones. `wallTime` in seconds since 1970.
 */
export function openTensorboard(folder: string, wallTime: number): Tensorboard {
  const stem = join(folder, `events.out.tfevents.${String(Math.floor(wallTime)).padStart(10, '0')}.adora`);
  const { file, path } = openNew(folder, stem);
  const write = (event: Uint8Array): void => {
    try {
      const record = frame(event);
      for (let done = 0; done < record.length;) done += writeSync(file, record, done);
    } catch (error) {
      throw writeError(error, path);
    }
  };
  write(versionEvent(wallTime));
  let open = true;
  return {
    path,
    scalar: (tag, step, value, time) => write(scalarEvent(tag, step, value, time)),
    restart: (step, time) => write(startEvent(step, time)),
    close: () => {
      if (open) closeSync(file);
      open = false;
    },
  };
}

function openNew(folder: string, stem: string): { file: number; path: string } {
  try {
    mkdirSync(folder, { recursive: true });
    for (let number = 0; ; number++) {
      const path = `${stem}.${process.pid}.${number}`;
      try {
        return { file: openSync(path, 'ax'), path };
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      }
    }
  } catch (error) {
    throw writeError(error, stem);
  }
}
