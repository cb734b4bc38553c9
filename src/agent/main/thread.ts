/** Runs one capture thread for the main thread. */
import { appendFileSync } from 'node:fs';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { createSnapshotReader } from '../../metrics/snapshot-reader.ts';
import { errnoOf, KernelError, reasonOf } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { MetricSnapshot } from '../../model/metric.ts';
import type { TraceRecord } from '../../model/span.ts';
import type { CaptureInput, FromCapture, ToCapture } from '../contract/messages.ts';
import { makePulse, type PhaseCpu } from '../contract/pulse.ts';
import { makeRequests, type Request } from './requests.ts';

export interface ThreadOptions {
  input: Omit<CaptureInput, 'pulse'>;
  log: Log;
  /** Called when the capture is set up. */
  onReady(): void;
  /** Called just before a failed thread is terminated. `final`: another attempt would fail in the same way. */
  onFatal(reason: string, final: boolean): void;
  onExit(reason: string): void;
  onTraces?: ((traces: readonly TraceRecord[]) => void) | undefined;
}

export interface CaptureThread {
  isRunning(): boolean;
  answers(): boolean;
  /** Why the thread does not answer, or why events are missing; '' if neither. */
  problem(): string;
  /** A message if the last drain (a read of all buffers) was more than `limitMs` ago; otherwise ''. */
  late(limitMs: number): string;
  /** Time since the last drain or, before it, since the thread was ready. Undefined before the thread is ready. */
  drainAgeMs(): number | undefined;
  phaseCpu(): PhaseCpu;
  /** Rejects if the thread cannot answer or does not answer in time. */
  ask<T>(request: Request, timeoutMs?: number): Promise<T>;
  /** Undefined if the thread is not ready, has failed, or does not answer in time. */
  snapshot(): Promise<MetricSnapshot | undefined>;
  terminate(): Promise<unknown>;
}

export function startThread(options: ThreadOptions): CaptureThread {
  const { log } = options;
  const pulse = makePulse();
  const reader = createSnapshotReader();
  let isRunning = true;
  /** Why the thread cannot answer; '' if it can. */
  let failure = 'the capture thread is still starting';
  /** Why events are missing although the thread answers; '' if all events arrive. */
  let problem = '';

  const input: CaptureInput = { ...options.input, pulse: pulse.memory };
  const entry = new URL(`../capture-thread${extname(import.meta.url)}`, import.meta.url);
  const worker = new Worker(entry, { workerData: input, name: 'ftrace-capture' });
  const requests = makeRequests((message) => worker.postMessage(message));
  const fail = (reason: string) => {
    failure = reason;
    requests.fail(reason);
  };
  worker.on('message', (message: FromCapture) => {
    switch (message.kind) {
      case 'ready':
        failure = '';
        problem = message.problem;
        // A recording has no drains, because it is read completely before the thread is ready.
        if (input.replayFile === undefined) pulse.begin();
        return options.onReady();
      case 'problem':
        problem = message.problem;
        return;
      case 'mark':
        markTrace(message.file, message.text, log);
        return worker.postMessage({ kind: 'marked', id: message.id } satisfies ToCapture);
      case 'traces':
        return options.onTraces?.(message.traces);
      case 'log':
        return log[message.level](message.fields, message.message);
      case 'fatal':
        fail(message.message);
        options.onFatal(message.message, message.final);
        void worker.terminate();
        return;
      default:
        return requests.settle(message);
    }
  });
  worker.on('error', (error) => fail(`the capture thread died: ${reasonOf(error)}`));
  worker.on('exit', () => {
    isRunning = false;
    fail(failure || 'the capture thread ended');
    options.onExit(failure);
  });

  const late = (limitMs: number): string => {
    const ageMs = isRunning ? pulse.ageMs() : undefined;
    return ageMs === undefined || ageMs <= limitMs
      ? ''
      : `the capture thread has not read the buffers for ${Math.floor(ageMs / 1000)} s`;
  };
  const ask = async <T>(request: Request, timeoutMs?: number): Promise<T> => {
    if (!isRunning || (failure !== '' && request.kind !== 'stop')) throw new Error(failure);
    return await requests.send<T>(request, timeoutMs);
  };
  return {
    isRunning: () => isRunning,
    answers: () => isRunning && failure === '',
    problem: () => failure || problem || requests.overdue(),
    late,
    drainAgeMs: pulse.ageMs,
    phaseCpu: pulse.cpu,
    ask,
    snapshot: () => {
      const request = () => ask<MetricSnapshot>({ kind: 'snapshot', knownSeries: reader.known() });
      // `expand` returns undefined if the snapshot does not match the stored label values. The second request then asks
      // for all label values.
      const attempt = async () => reader.expand(await request()) ?? reader.expand(await request());
      return attempt().catch((error: unknown) => {
        log.debug({ reason: reasonOf(error) }, 'the capture thread did not provide its metrics');
        return undefined;
      });
    },
    terminate: () => worker.terminate(),
  };
}

function markTrace(file: string, text: string, log: Log): void {
  try {
    appendFileSync(file, text);
  } catch (error) {
    const refusal = new KernelError({ file, errno: errnoOf(error), action: 'write', value: text });
    log.warn(
      { reason: refusal.message },
      'cannot write the marker that shows the id of the main thread: the metrics will include events caused by this thread',
    );
  }
}
