/** Makes traces of the kinds `sched` (a slow wait for a CPU) and `block` (a slow block request). */
import type { BlockRequest, SwitchIn } from '../model/intervals.ts';
import { NORMAL, TASK_CLASSES } from '../model/task-classes.ts';
import { requestAttributes, taskAttributes } from './attributes.ts';
import type { SpanDeps } from './deps.ts';
import type { ExemplarDraft, Offer, SpanDraft, TraceDraft } from './draft.ts';
import { waitSpan } from './run-queue.ts';
import { causesOf } from './summary.ts';
import type { TaskJournal } from './task-journal.ts';

export const RUNQUEUE_LATENCY = 'ftrace_sched_runqueue_latency_seconds';
const QUEUE_SECONDS = 'ftrace_block_io_queue_seconds';
const DEVICE_SECONDS = 'ftrace_block_io_device_seconds';

/** Returns a function that offers a trace of a wait. The caller selects the slow waits. */
export function makeWaitTraces(offer: Offer, deps: SpanDeps, tasks: TaskJournal) {
  return (task: SwitchIn, words: Int32Array, commAt: number): void => {
    const { pid, cpu, runnableNs, inNs, queueCpu, taskClass } = task;
    const wholeNs = inNs - runnableNs;
    const comm = tasks.history.texts.of(words, commAt);
    // Events do not show SCHED_BATCH and SCHED_IDLE, so the task filter looks up the class of a `normal` task.
    const knownClass = taskClass === NORMAL ? undefined : taskClass;
    const subject = { pid, comm, atNs: runnableNs, taskClass: knownClass };
    const make = (): TraceDraft => {
      const wait = { pid, cpu, queueCpu, startNs: runnableNs, endNs: inNs };
      const ofTask = taskAttributes(pid, comm);
      const span = waitSpan(wait, { tasks, wholeNs }, ofTask);
      return {
        root: span,
        pid,
        parent: deps.parentOf(pid, runnableNs),
        pruned: 0,
        causes: causesOf(span),
        exemplars: waitExemplar(deps, { cpu, taskClass }, span),
      };
    };
    offer('sched', wholeNs, make, subject);
  };
}

export function waitExemplar(
  deps: SpanDeps,
  { cpu, taskClass }: Pick<SwitchIn, 'cpu' | 'taskClass'>,
  span: SpanDraft,
): ExemplarDraft[] {
  return exemplar(deps, 'sched', RUNQUEUE_LATENCY, [TASK_CLASSES[taskClass]], { cpu, span });
}

/** Returns a function that offers a trace of a slow request. */
export function makeRequestTraces(
  thresholdNs: number,
  offer: Offer,
  deps: SpanDeps,
  commOf: (pid: number, cpu: number) => string,
) {
  return (request: BlockRequest): void => {
    const startNs = request.insertNs === 0 ? request.issueNs : request.insertNs;
    const durationNs = request.completeNs - startNs;
    if (durationNs < thresholdNs) return;
    const copy = { ...request };
    const subject = { pid: copy.pid, comm: commOf(copy.pid, copy.issueCpu), atNs: startNs };
    const make = (): TraceDraft => {
      const { operation, device, insertNs, issueNs, completeNs, pid, cpu } = copy;
      const attributes = { 'system.device': device };
      const part = (name: string, from: number, to: number): SpanDraft => ({
        name,
        startNs: from,
        endNs: to,
        attributes,
        children: [],
      });
      const queue = insertNs === 0 ? [] : [part('block queue', insertNs, issueNs)];
      const served = part('block device', issueNs, completeNs);
      const root: SpanDraft = {
        name: `block ${operation}`,
        startNs,
        endNs: completeNs,
        attributes: { ...requestAttributes(copy), 'cpu.logical_number': cpu },
        error: errorOf(deps, copy.errno),
        children: [...queue, served],
      };
      const parent = deps.parentOf(pid, startNs);
      const causes = [{ label: `block ${operation} ${device}`, ns: completeNs - issueNs }];
      if (insertNs !== 0) causes.push({ label: `block queue ${device}`, ns: issueNs - insertNs });
      return { root, pid, parent, pruned: 0, causes, exemplars: requestExemplars(deps, copy, root) };
    };
    offer('block', durationNs, make, subject);
  };
}

/** Returns the name of an errno, or its number if it has no name; undefined for 0. */
export function errorOf(deps: SpanDeps, errno: number): string | undefined {
  return errno === 0 ? undefined : (deps.errnoName(errno) ?? String(errno));
}

/** Returns exemplars for a request's time in the queue and for its time at the device. */
export function requestExemplars(deps: SpanDeps, request: BlockRequest, span: SpanDraft): ExemplarDraft[] {
  const { device, operation, cpu, pid, issueCpu, insertNs, issueNs, completeNs } = request;
  const values = [device, operation];
  const inQueue = { cpu: issueCpu, pid, span, valueNs: issueNs - insertNs };
  const served = { cpu, pid, span, valueNs: completeNs - issueNs };
  const atDevice = exemplar(deps, 'block', DEVICE_SECONDS, values, served);
  return insertNs === 0
    ? atDevice
    : [...exemplar(deps, 'block', QUEUE_SECONDS, values, inQueue), ...atDevice];
}

/** Returns one exemplar; none if the probe is off or does not count the operation. */
export function exemplar(
  deps: SpanDeps,
  probe: string,
  metric: string,
  values: readonly string[],
  {
    cpu,
    pid = 0,
    span,
    valueNs = span.endNs - span.startNs,
  }: { cpu: number; pid?: number; span: SpanDraft; valueNs?: number },
): ExemplarDraft[] {
  const labelValues = deps.seriesOf(probe, values, cpu, pid);
  return labelValues === undefined ? [] : [{ metric, labelValues, valueNs, span }];
}
