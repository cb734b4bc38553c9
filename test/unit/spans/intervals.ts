/** Makes intervals as probes report them, with defaults for values that do not matter in a test. */
import type { BlockRequest, SwitchIn } from '../../../src/model/intervals.ts';
import type { SpansConfig } from '../../../src/model/span.ts';
import { BY_INTERRUPT } from '../../../src/model/wake-codes.ts';

export const US = 1e3;
export const MS = 1e6;
export const PID = 100;
export const S = 1;
export const D = 2;

export const config = (kinds: SpansConfig['kinds']): SpansConfig => ({
  maxTracesPerSecond: 1000,
  containers: false,
  kinds,
});

export function comm(text: string): Int32Array {
  const bytes = Buffer.alloc(16);
  bytes.write(text);
  return new Int32Array(bytes.buffer, bytes.byteOffset, 4);
}

export const NO_COMM = comm('');

export function request(over: Partial<BlockRequest>): BlockRequest {
  return {
    device: 'sda',
    operation: 'write',
    bytes: 4096,
    sector: 8,
    insertNs: 0,
    issueNs: 0,
    completeNs: 0,
    pid: PID,
    issueCpu: 0,
    issuer: PID,
    cpu: 1,
    completer: 0,
    errno: 0,
    ...over,
  };
}

export function switchIn(over: Partial<SwitchIn>): SwitchIn {
  return {
    pid: PID,
    cpu: 0,
    isWatched: true,
    outNs: 0,
    isSeen: true,
    runnableNs: 0,
    inNs: 0,
    taskClass: 0,
    state: D,
    queueCpu: 0,
    wokenBy: BY_INTERRUPT,
    waker: 0,
    wakerCpu: 1,
    lock: -1,
    ...over,
  };
}
