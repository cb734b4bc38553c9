/**
 * Makes span attributes with the names of OpenTelemetry's semantic conventions, or else `ftrace.*`. Times are in
 * seconds. `thread.id` of the conventions is for managed threads, so the kernel's thread id is `ftrace.thread.id`.
 */
import type { BlockRequest } from '../model/intervals.ts';
import type { AttributeValue } from '../model/span.ts';
import type { Culprit } from './cpu-history.ts';

/** `records.ts` leaves out attributes whose value is undefined. */
export type DraftAttributes = Readonly<Record<string, AttributeValue | undefined>>;

export function seconds(ns: number): number {
  return ns / 1e9;
}

export function taskAttributes(pid: number, comm: string): DraftAttributes {
  return { 'ftrace.thread.id': pid, 'thread.name': comm || undefined };
}

export function culpritAttributes(culprit: Culprit | undefined): DraftAttributes {
  if (culprit === undefined) return {};
  return {
    'ftrace.ran_instead.thread.id': culprit.pid,
    'ftrace.ran_instead.thread.name': culprit.comm,
    'ftrace.ran_instead.time': seconds(culprit.ranNs),
  };
}

export function requestAttributes(request: BlockRequest): DraftAttributes {
  const { device, operation, bytes, sector, insertNs, issueNs, completeNs, pid } = request;
  const direction = operation === 'read' || operation === 'write';
  return {
    'system.device': device,
    'disk.io.direction': direction ? operation : undefined,
    'ftrace.block.operation': operation,
    'ftrace.block.bytes': bytes,
    'ftrace.block.sector': sector,
    'ftrace.block.queue_time': insertNs === 0 ? 0 : seconds(issueNs - insertNs),
    'ftrace.block.device_time': seconds(completeNs - issueNs),
    'ftrace.block.thread.id': pid,
  };
}

/** Letters of the task state bits, lowest bit first. All kernels since 4.14 use these bits (include/linux/sched.h). */
const STATES = ['S', 'D', 'T', 't', 'X', 'Z', 'P', 'I'];

/** Returns the letter that `ps` shows for a task state, or ? if unknown. State 0 (R) means still runnable. */
export function stateLetter(state: number): string {
  if (state === 0) return 'R';
  const bit = STATES.findIndex((_, i) => (state & (1 << i)) !== 0);
  return bit < 0 ? '?' : STATES[bit];
}
