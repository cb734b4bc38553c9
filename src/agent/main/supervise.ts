/** Keeps the capture thread running, and decides whether the agent is ready. */
import type { RecordedHistory } from '../../history/recorded.ts';
import { MetricStore } from '../../metrics/store.ts';
import type { Log } from '../../model/log.ts';
import type { MetricSnapshot } from '../../model/metric.ts';
import type { TraceRecord } from '../../model/span.ts';
import type { CaptureStatus } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';
import type { AgentConfig } from './compose-config.ts';
import { makeMainMetrics } from './main-metrics.ts';
import { type CaptureThread, startThread } from './thread.ts';

const FIRST_BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 30_000;
/** After a run of this length, the back-off starts again from its minimum. */
const HEALTHY_AFTER_MS = 60_000;
/** Shorter than Kubernetes' default grace period of 30 s. Enough to drain full buffers. */
const STOP_TIMEOUT_MS = 25_000;
/** Long, because a tracer of many functions takes many seconds to set up. */
const RELOAD_TIMEOUT_MS = 60_000;
/** The agent is not ready if the thread has not read the buffers for this long. */
const LATE_AFTER_MS = 5_000;
/** After this time, the thread will not recover, and the process should be restarted. */
const HUNG_AFTER_MS = 30_000;

export interface Agent {
  /** The main thread's snapshot, which comes first, and the capture thread's snapshot, if the thread provides one. */
  scrape(): Promise<MetricSnapshot[]>;
  status(): Promise<CaptureStatus>;
  /** Longest first. Undefined if the tracer is not running. */
  latency(tracer: string): Promise<LatencyRecord[] | undefined>;
  /** Undefined for a live capture. */
  history(): Promise<RecordedHistory | undefined>;
  ready(): { ready: boolean; reason: string };
  /** False if the capture thread hangs, so that the process should be restarted. */
  alive(): { alive: boolean; reason: string };
  /**
   * Switches to another config. On failure, rejects and keeps the old config. If the capture thread itself fails to
   * switch, the agent restarts it with the old config.
   */
  reload(next: AgentConfig): Promise<void>;
  /** Also removes the agent's instances from tracefs. */
  stop(): Promise<void>;
}

export interface AgentOptions {
  log: Log;
  version: string;
  /** Metrics of the main thread. */
  store?: MetricStore;
  /** The recording to serve instead of the live kernel. */
  replayFile?: string | undefined;
  /** Name of the buffer to serve, if the recording has several. */
  replayInstance?: string | undefined;
  /**
   * Called once, at the start. `terminate` ends the capture thread at once, without restoring the kernel's settings.
   */
  onTerminator?(terminate: () => Promise<void>): void;
  /** Called with the finished traces of slow operations, about once a second. */
  onTraces?: ((traces: readonly TraceRecord[]) => void) | undefined;
}

/** Resolves when the capture runs. Rejects if the capture cannot start. */
export async function startAgent(start: AgentConfig, options: AgentOptions): Promise<Agent> {
  let config = start;
  const { store = new MetricStore({ countsSeries: false }), version } = options;
  const own = makeMainMetrics(store, { version, replay: options.replayFile !== undefined });
  const { first, thread, giveUp } = keepRunning(() => config, options, own.countRestart);
  options.onTerminator?.(async () => {
    giveUp();
    await thread().terminate();
  });
  try {
    await first;
  } catch (error) {
    giveUp();
    throw error;
  }

  const ready = () => {
    const reason = thread().problem() || thread().late(LATE_AFTER_MS);
    return { ready: reason === '', reason };
  };
  return {
    scrape: async () => {
      const capture = await thread().snapshot();
      own.probesAreDown(capture === undefined ? config.probes.map(({ name }) => name) : []);
      own.readyIs(ready().ready);
      own.drainedBefore(thread().drainAgeMs());
      own.cpuIs(thread().phaseCpu());
      const main = store.snapshot();
      return capture === undefined ? [main] : [main, capture];
    },
    status: () => thread().ask<CaptureStatus>({ kind: 'status' }),
    latency: (tracer) => thread().ask<LatencyRecord[] | undefined>({ kind: 'latency', tracer }),
    history: () => thread().ask<RecordedHistory | undefined>({ kind: 'history' }),
    ready,
    alive: () => {
      const reason = thread().late(HUNG_AFTER_MS);
      return { alive: reason === '', reason };
    },
    reload: async (next) => {
      const running = thread();
      if (!running.answers()) throw new Error(`the capture thread is not available: ${running.problem()}`);
      try {
        await running.ask({ kind: 'reload', config: next }, RELOAD_TIMEOUT_MS);
      } catch (error) {
        await running.terminate();
        throw error;
      }
      config = next;
    },
    stop: async () => {
      giveUp();
      const running = thread();
      if (!running.isRunning()) return;
      try {
        await running.ask({ kind: 'stop' }, STOP_TIMEOUT_MS);
      } finally {
        await running.terminate();
      }
    },
  };
}

interface Supervision {
  /** Resolves when the capture runs. Rejects if the capture cannot start. */
  first: Promise<void>;
  /** Between a failure and the restart: the failed thread. */
  thread(): CaptureThread;
  /** Prevents restarts. A pending restart would keep the process alive for up to 30 s. */
  giveUp(): void;
}

/** Restarts the capture thread after a delay if it ends after it was ready. */
function keepRunning(
  config: () => AgentConfig,
  options: AgentOptions,
  countRestart: () => void,
): Supervision {
  const { log, replayFile, replayInstance, onTraces } = options;
  const { promise: first, resolve, reject } = Promise.withResolvers<void>();
  let wasReady = false;
  let isOver = false;
  let backoffMs = FIRST_BACKOFF_MS;
  let timer: NodeJS.Timeout | undefined;

  const start = (): CaptureThread => {
    const startedAt = performance.now();
    return startThread({
      input: { config: config(), replayFile, replayInstance },
      log,
      onTraces,
      onReady: () => {
        wasReady = true;
        resolve();
      },
      onFatal: (reason, isFinal) => {
        if (!wasReady && isFinal) reject(new Error(reason));
        else log.error({ reason }, 'the capture thread failed');
      },
      onExit: (reason) => {
        if (!wasReady) reject(new Error(reason));
        if (isOver || !wasReady) return;
        if (performance.now() - startedAt > HEALTHY_AFTER_MS) backoffMs = FIRST_BACKOFF_MS;
        log.warn({ reason, retryMs: backoffMs }, 'restarting the capture thread');
        countRestart();
        timer = setTimeout(() => {
          thread = start();
        }, backoffMs);
        backoffMs = Math.min(backoffMs * 2, LONGEST_BACKOFF_MS);
      },
    });
  };
  let thread = start();
  return {
    first,
    thread: () => thread,
    giveUp: () => {
      isOver = true;
      clearTimeout(timer);
    },
  };
}
