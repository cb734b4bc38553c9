/**
 * Names and values of attributes: OpenTelemetry's semantic conventions where they have one, else `ftrace.*`. Times are
 * seconds. `thread.id` is defined as the id of a managed thread; ids of the kernel's threads are `ftrace.thread.id`.
 */
import type { BlockRequest } from '../model/intervals.ts';
import type { AttributeValue } from '../model/span.ts';
import type { Culprit } from './cpu-history.ts';

/** The record leaves out those without a value. */
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

/** include/linux/sched.h: the same bits in every kernel from 4.14 on. */
const STATES = ['S', 'D', 'T', 't', 'X', 'Z', 'P', 'I'];

/** How `ps` shows a state; R for a task that could have gone on. */
export function stateLetter(state: number): string {
  if (state === 0) return 'R';
  const bit = STATES.findIndex((_, i) => (state & (1 << i)) !== 0);
  return bit < 0 ? '?' : STATES[bit];
}
