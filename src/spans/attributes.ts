/**
 * Makes span attributes. Attributes that OpenTelemetry's semantic conventions define have the names of the conventions;
 * all others are named `ftrace.*`. Times are in seconds. The conventions define `thread.id` as the id of a managed
 * thread, so the kernel's thread id is `ftrace.thread.id`.
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

/**
 * Returns the letter that `ps` shows for a task state, or ? if the state is unknown. State 0 (R) means that the task
 * was still runnable.
 */
export function stateLetter(state: number): string {
  if (state === 0) return 'R';
  const bit = STATES.findIndex((_, i) => (state & (1 << i)) !== 0);
  return bit < 0 ? '?' : STATES[bit];
}
