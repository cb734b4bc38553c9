/**
 * The main thread's side of the agent: starts the capture thread, sends it requests, restarts it when it dies, and
 * decides whether the agent is ready.
 */
import { appendFileSync } from 'node:fs';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { createSnapshotReader } from '../../metrics/snapshot-reader.ts';
import { errnoOf, KernelError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { MetricSnapshot } from '../../model/metric.ts';
import type { TraceRecord } from '../../model/span.ts';
import type { CaptureStatus } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';
import type { CaptureInput, FromCapture, ToCapture } from '../contract/messages.ts';
import { makePulse } from '../contract/pulse.ts';
import type { AgentConfig } from './compose-config.ts';
import { makeMainMetrics } from './main-metrics.ts';

const FIRST_BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 30_000;
/** The back-off starts small again after a capture thread has run this long. */
const HEALTHY_AFTER_MS = 60_000;
/** An answer takes microseconds; a thread that has not answered after this long is stuck. */
const ANSWER_TIMEOUT_MS = 5_000;
/** The thread reads full buffers to their end. Shorter than the time Kubernetes gives a pod to stop. */
const STOP_TIMEOUT_MS = 25_000;
/** The buffers are read several times per second; a thread that has not read them for this long is not ready. */
const LATE_AFTER_MS = 5_000;
/** After this long the thread will not recover by itself: the process should be restarted. */
const HUNG_AFTER_MS = 30_000;

export interface Agent {
  /**
   * Snapshots of all stores, the main thread's first, with the label values of all series. While the capture is down,
   * only the main thread's, in which every probe is down.
   */
  scrape(): Promise<MetricSnapshot[]>;
  status(): Promise<CaptureStatus>;
  /** Records of a latency tracer, slowest first; undefined when it does not run. */
  latency(tracer: string): Promise<LatencyRecord[] | undefined>;
  ready(): { ready: boolean; reason: string };
  /** False when the capture thread hangs, so that the process should be restarted. */
  alive(): { alive: boolean; reason: string };
  /** Stops recording and removes the instances. */
  stop(): Promise<void>;
}

export interface AgentOptions {
  log: Log;
  version: string;
  /** The recording to serve instead of the live kernel. */
  replayFile?: string;
  /** Name of the buffer to serve, of a recording with several. */
  replayInstance?: string | undefined;
  /**
   * Called before the capture starts. `terminate` ends its thread at once: held files are closed, but nothing is
   * restored.
   */
  onTerminator?(terminate: () => Promise<void>): void;
  /** Called about once a second with the traces of slow operations. */
  onTraces?(traces: readonly TraceRecord[]): void;
}

type Request = ToCapture extends infer T ? (T extends { id: number } ? Omit<T, 'id'> : never) : never;
interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

/** Starts the agent. Resolves when events can be read; rejects with the reason if they never can. */
export async function startAgent(config: AgentConfig, options: AgentOptions): Promise<Agent> {
  const { log } = options;
  const own = makeMainMetrics({ version: options.version, replay: options.replayFile !== undefined });
  const waiting = new Map<number, Waiting>();
  let nextId = 1;
  let worker: Worker | undefined;
  /** Why the capture thread cannot answer; '' when it can. */
  let problem = 'the capture is being set up';
  /** Why events are missing although the thread answers; '' when none are. */
  let without = '';
  /** Which request the thread has not answered in time; '' when none. */
  let silent = '';
  let backoffMs = FIRST_BACKOFF_MS;
  let startAgain: NodeJS.Timeout | undefined;
  let stopping = false;
  let everReady = false;
  let settleFirst: { resolve(): void; reject(error: Error): void };
  const first = new Promise<void>((resolve, reject) => {
    settleFirst = { resolve, reject };
  });

  let pulse = makePulse();
  /** Why the buffers are not read in time; '' when they are, or when nothing reads them yet. */
  const late = (limitMs: number): string => {
    const ageMs = worker === undefined ? undefined : pulse.ageMs();
    return ageMs === undefined || ageMs <= limitMs
      ? ''
      : `the capture thread has not read the buffers for ${Math.floor(ageMs / 1000)} s`;
  };
  const readiness = () => {
    const reason = problem || without || silent || late(LATE_AFTER_MS);
    return { ready: reason === '' && worker !== undefined, reason };
  };

  const reader = createSnapshotReader();
  const fail = (reason: string) => {
    problem = reason;
    for (const [id, request] of waiting) {
      clearTimeout(request.timer);
      waiting.delete(id);
      request.reject(new Error(reason));
    }
  };

  const ask = <T>(request: Request, timeoutMs = ANSWER_TIMEOUT_MS): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (worker === undefined || (problem !== '' && request.kind !== 'stop')) {
        reject(new Error(problem || 'the capture thread is down'));
        return;
      }
      const id = nextId++;
      const timer = setTimeout(() => {
        waiting.delete(id);
        silent = `the capture thread did not answer within ${timeoutMs / 1000} s`;
        reject(new Error(silent));
      }, timeoutMs);
      waiting.set(id, { resolve: resolve as (value: unknown) => void, reject, timer });
      worker.postMessage({ ...request, id } as ToCapture);
    });

  const onMessage = (from: Worker, message: FromCapture) => {
    switch (message.kind) {
      case 'ready':
        problem = '';
        without = message.problem;
        everReady = true;
        // A recording is read once, so nothing is read after it.
        if (options.replayFile === undefined) pulse.begin();
        settleFirst.resolve();
        return;
      case 'problem':
        without = message.problem;
        return;
      case 'mark':
        markTrace(message.file, message.text, log);
        from.postMessage({ kind: 'marked', id: message.id } satisfies ToCapture);
        return;
      case 'traces':
        options.onTraces?.(message.traces);
        return;
      case 'log':
        log[message.level](message.fields, message.message);
        return;
      case 'fatal':
        fail(message.message);
        if (!everReady && message.final) settleFirst.reject(new Error(message.message));
        else log.error({ reason: message.message }, 'capture failed');
        void from.terminate();
        return;
      default: {
        silent = '';
        const request = waiting.get(message.id);
        if (request === undefined) return;
        waiting.delete(message.id);
        clearTimeout(request.timer);
        if (message.kind === 'answer') request.resolve(message.value);
        else request.reject(new Error(message.reason));
      }
    }
  };

  const start = () => {
    const startedAt = performance.now();
    problem = 'the capture is being set up';
    silent = '';
    reader.reset();
    pulse = makePulse();
    const input: CaptureInput = {
      config,
      replayFile: options.replayFile,
      replayInstance: options.replayInstance,
      pulse: pulse.memory,
    };
    const entry = new URL(`../capture-thread${extname(import.meta.url)}`, import.meta.url);
    const started = new Worker(entry, { workerData: input, name: 'ftrace-capture' });
    worker = started;
    started.on('message', (message: FromCapture) => onMessage(started, message));
    started.on('error', (error) =>
      fail(`the capture thread died: ${error instanceof Error ? error.message : error}`),
    );
    started.on('exit', () => {
      worker = undefined;
      fail(problem || 'the capture thread ended');
      if (!everReady) settleFirst.reject(new Error(problem));
      if (stopping || !everReady) return;
      if (performance.now() - startedAt > HEALTHY_AFTER_MS) backoffMs = FIRST_BACKOFF_MS;
      log.warn({ reason: problem, retryMs: backoffMs }, 'restarting the capture thread');
      own.countRestart();
      startAgain = setTimeout(start, backoffMs);
      backoffMs = Math.min(backoffMs * 2, LONGEST_BACKOFF_MS);
    });
  };

  /** Undefined while the capture is down or being set up. */
  const snapshotOfCapture = async (): Promise<MetricSnapshot | undefined> => {
    // If the answer does not continue what the reader has, the second attempt requests all labels.
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        const full = reader.expand(
          await ask<MetricSnapshot>({ kind: 'snapshot', knownSeries: reader.known() }),
        );
        if (full !== undefined) return full;
      } catch (error) {
        log.debug(
          { reason: error instanceof Error ? error.message : String(error) },
          'no snapshot from the capture thread',
        );
        return undefined;
      }
    }
    return undefined;
  };

  options.onTerminator?.(async () => {
    stopping = true;
    clearTimeout(startAgain);
    await worker?.terminate();
  });
  start();
  try {
    await first;
  } catch (error) {
    stopping = true;
    throw error;
  }

  return {
    scrape: async () => {
      const capture = await snapshotOfCapture();
      own.probesAreDown(capture === undefined ? config.probes.map(({ name }) => name) : []);
      own.readyIs(readiness().ready);
      own.drainedBefore(pulse.ageMs());
      const main = own.snapshot();
      return capture === undefined ? [main] : [main, capture];
    },
    status: () => ask<CaptureStatus>({ kind: 'status' }),
    latency: (tracer) => ask<LatencyRecord[] | undefined>({ kind: 'latency', tracer }),
    ready: readiness,
    alive: () => {
      const reason = late(HUNG_AFTER_MS);
      return { alive: reason === '', reason };
    },
    stop: async () => {
      stopping = true;
      // The restart can be 30 s away, and the process would wait for it.
      clearTimeout(startAgain);
      if (worker === undefined) return;
      const running = worker;
      try {
        await ask({ kind: 'stop' }, STOP_TIMEOUT_MS);
      } finally {
        await running.terminate();
      }
    },
  };
}

function markTrace(file: string, text: string, log: Log): void {
  try {
    appendFileSync(file, text);
  } catch (error) {
    const refusal = new KernelError({ file, errno: errnoOf(error), action: 'write', value: text });
    log.warn({ reason: refusal.message }, 'events of the main thread will be counted');
  }
}
