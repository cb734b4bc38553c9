/** Supervises the capture thread from the main thread: keeps it running, and decides whether the agent is ready. */
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
/** If a capture thread has run for this long before it fails, the back-off starts again from its minimum. */
const HEALTHY_AFTER_MS = 60_000;
/** Time for the thread to drain full buffers on shutdown. Shorter than Kubernetes' default grace period of 30 s. */
const STOP_TIMEOUT_MS = 25_000;
/** Time limit for a reload. A reload can take many seconds if it sets up a tracer that traces many functions. */
const RELOAD_TIMEOUT_MS = 60_000;
/**
 * The agent is not ready if the thread has not read the buffers for this long. Normally, the thread reads several times
 * per second.
 */
const LATE_AFTER_MS = 5_000;
/** If the thread has not read the buffers for this long, it will not recover, and the process should be restarted. */
const HUNG_AFTER_MS = 30_000;

export interface Agent {
  /**
   * Returns snapshots with the label values of all series; the main thread's snapshot comes first. If the capture is
   * down, returns only the main thread's snapshot, in which probe_up is 0 for every probe.
   */
  scrape(): Promise<MetricSnapshot[]>;
  status(): Promise<CaptureStatus>;
  /** The longest latencies that a latency tracer recorded, longest first. Undefined if the tracer is not running. */
  latency(tracer: string): Promise<LatencyRecord[] | undefined>;
  /** History of a recording. Undefined for a live capture. */
  history(): Promise<RecordedHistory | undefined>;
  ready(): { ready: boolean; reason: string };
  /** False if the capture thread hangs, so that the process should be restarted. */
  alive(): { alive: boolean; reason: string };
  /**
   * Switches to another config. Probes and buffers that do not change continue to run. On failure, rejects with the
   * reason and keeps the old config. If the capture thread fails to switch, or does not answer in time, the agent
   * restarts the thread with the old config.
   */
  reload(next: AgentConfig): Promise<void>;
  /** Stops tracing and removes the agent's instances from tracefs. */
  stop(): Promise<void>;
}

export interface AgentOptions {
  log: Log;
  version: string;
  /** Metrics of the main thread. A scrape returns them together with the metrics of the capture thread. */
  store?: MetricStore;
  /** The recording to serve instead of the live kernel. */
  replayFile?: string | undefined;
  /** Name of the buffer to serve, if the recording has several. */
  replayInstance?: string | undefined;
  /**
   * Called once, when the agent starts. `terminate` ends the current capture thread immediately and prevents a restart.
   * The thread's files are then closed, but the kernel's settings are not restored.
   */
  onTerminator?(terminate: () => Promise<void>): void;
  /** Called with the finished traces of slow operations, about once a second. */
  onTraces?: ((traces: readonly TraceRecord[]) => void) | undefined;
}

/** Starts the agent. Resolves when the capture runs. Rejects with the reason if the capture cannot start. */
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
  /** Resolves when the capture runs. Rejects with the reason if the capture cannot start. */
  first: Promise<void>;
  /** The current thread. Between a failure and the restart: the failed thread. */
  thread(): CaptureThread;
  /**
   * Cancels a pending restart and prevents further ones. A pending restart would keep the process alive for up to 30 s.
   */
  giveUp(): void;
}

/** Starts the capture thread. If it ends after it was ready, starts another thread after a delay (back-off). */
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
