/** Metrics of the capture thread about itself. A drain is one read of all buffers. */
import { PAGE_ERRORS, type PageError } from '../../decode/page.ts';
import type { MetricStore } from '../../metrics/store.ts';
import type { CpuLoss, ProbeStatus } from '../../model/status.ts';
import type { UnmatchedReason } from '../../probes/probe.ts';

/** In seconds: 10 µs to 100 ms. */
const DRAIN_BOUNDS = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1];

const LOST = {
  name: 'ftrace_exporter_events_lost_total',
  help: 'Events lost before the agent read them, by reason. For "paused" and "cleared", the number of lost events is unknown, so each occurrence counts as one.',
  labels: ['buffer', 'cpu', 'reason'],
};

/** Counters of one CPU's buffer since the start. */
export interface BufferReading {
  cpu: number;
  events: number;
  /** Bytes of the events that the agent has read. An estimate if the agent reads text. */
  bytes: number;
  /** Undefined if the source does not report losses. */
  loss: CpuLoss | undefined;
  unreadBytes: number;
  /** 0 for a recording. */
  capacityBytes: number;
}

export interface SelfMetrics {
  ignoreSelf(): void;
  unmatched(probe: string, reason: UnmatchedReason): (count?: number) => void;
  decodeError(error: PageError): void;
  drainTook(ns: number): void;
  /** Records the time between the starts of two drains. */
  drainedAfter(ns: number): void;
  probesAre(probes: readonly ProbeStatus[]): void;
  forgetProbe(name: string): void;
  forgetBuffer(name: string): void;
  /** Call this before a snapshot. */
  update(buffer: string, readings: readonly BufferReading[]): void;
  /** `missed`: the kernel missed hits of a kprobe. `no_room`: the kernel's table of a hist trigger was full. */
  lostBefore(probe: string, reason: 'no_room' | 'missed', count: number): void;
  probeEventsAre(events: ReadonlyMap<string, number>): void;
  /** Total number of events that were processed after events with later timestamps. */
  lateEventsAre(count: number): void;
}

export interface LiveOnly {
  /** Length in ms of the window of `ftrace_exporter_max_drain_gap_seconds`. */
  maxWindowMs: number;
  /** Estimated CPU time that the kernel needs to record one event. */
  recordingNs: number;
}

/** `live` is undefined for a replay, which has no periodic drains and no recording cost. */
export function makeSelfMetrics(store: MetricStore, live?: LiveOnly): SelfMetrics {
  const up = store.gauge({
    name: 'ftrace_exporter_probe_up',
    help: '1 if an enabled probe receives the events that it needs, 0 if it does not or if the agent has suspended it.',
    labels: ['probe'],
  });
  const lost = store.counter(LOST);
  const { update, forgetBuffer } = declareReadings(store, live?.recordingNs);
  const probeEvents = store.counter({
    name: 'ftrace_exporter_probe_events_total',
    help: 'Events passed to a probe. An event that several probes read counts once for each of them. "spans" and "containers" are the parts of the agent that track tasks for traces and for container labels.',
    labels: ['probe'],
  });
  const ignored = store.counter({
    name: 'ftrace_exporter_events_ignored_total',
    help: 'Events that the agent read and ignored on purpose, by reason. "self": the agent itself caused the event.',
    labels: ['reason'],
  });
  const late = store.counter({
    name: 'ftrace_exporter_late_events_total',
    help: 'Events that the agent processed late, because it could read them only after it had processed younger events.',
  });
  const errors = store.counter({
    name: 'ftrace_exporter_decode_errors_total',
    help: 'Pages, events or text lines that the agent could not decode, by reason. The agent drops the rest of a page that it cannot decode.',
    labels: ['reason'],
  });
  const unmatched = store.counter({
    name: 'ftrace_exporter_unmatched_total',
    help: 'Starts of operations without a matching end, and ends without a matching start. These operations have no duration in the metrics.',
    labels: ['probe', 'reason'],
  });
  const drain = store.histogram({
    name: 'ftrace_exporter_drain_duration_seconds',
    help: 'Duration of one drain of the kernel buffers: reading, decoding and counting the events since the previous drain.',
    bounds: DRAIN_BOUNDS,
    ownTime: true,
  });
  const gap =
    live === undefined
      ? undefined
      : store.maxGauge({
          name: 'ftrace_exporter_max_drain_gap_seconds',
          help: 'Longest time from one drain of the kernel buffers to the next, within the last max_window (set in the config).',
          unit: 'seconds',
          divisor: 1e9,
          ownTime: true,
          windowMs: live.maxWindowMs,
        });
  const gapSlot = gap?.slot([]) ?? 0;
  const selfSlot = ignored.slot(['self']);
  const drainSlot = drain.slot([]);
  const lateSlot = late.slot([]);
  const errorSlots = new Map(PAGE_ERRORS.map((reason) => [reason, errors.slot([reason])]));
  return {
    ignoreSelf: () => ignored.add(selfSlot, 1),
    unmatched: (probe, reason) => {
      const slot = unmatched.slot([probe, reason]);
      return (count = 1) => unmatched.add(slot, count);
    },
    decodeError: (error) => errors.add(errorSlots.get(error) as number, 1),
    drainTook: (ns) => drain.record(drainSlot, ns),
    drainedAfter: (ns) => gap?.record(gapSlot, ns),
    probesAre: (probes) => {
      for (const probe of probes) up.set(up.slot([probe.name]), probe.up ? 1 : 0);
    },
    probeEventsAre: (events) => {
      for (const [probe, count] of events) probeEvents.set(probeEvents.slot([probe]), count);
    },
    forgetProbe: (name) => {
      for (const family of [up, unmatched, probeEvents]) family.release('probe', name);
      lost.release('buffer', name);
    },
    forgetBuffer,
    lateEventsAre: (count) => late.set(lateSlot, count),
    lostBefore: (probe, reason, count) => lost.add(lost.slot([probe, '', reason]), count),
    update,
  };
}

function declareReadings(
  store: MetricStore,
  recordingNs: number | undefined,
): Pick<SelfMetrics, 'update' | 'forgetBuffer'> {
  const read = store.counter({
    name: 'ftrace_exporter_events_read_total',
    help: 'Events that the agent read from a kernel buffer and decoded.',
    labels: ['buffer', 'cpu'],
  });
  const lost = store.counter(LOST);
  const readBytes = store.counter({
    name: 'ftrace_exporter_read_bytes_total',
    help: 'Bytes of events that the agent read from a kernel buffer, without page headers.',
    unit: 'bytes',
    labels: ['buffer', 'cpu'],
  });
  const fill = store.gauge({
    name: 'ftrace_exporter_buffer_fill_ratio',
    help: 'Share of a kernel buffer (0 to 1) that was filled with unread events when the agent last checked.',
    unit: 'ratio',
    labels: ['buffer', 'cpu'],
  });
  const recording =
    recordingNs === undefined
      ? undefined
      : store.counter({
          name: 'ftrace_exporter_recording_cpu_seconds_total',
          help: 'Estimated CPU time that the kernel used to record events for this agent: the number of recorded events (including lost ones) times recording_cost from the config.',
          unit: 'seconds',
          divisor: 1e9,
          ownTime: true,
          labels: ['buffer'],
        });
  const forgetBuffer = (name: string): void => {
    for (const family of [read, lost, readBytes, fill, recording]) family?.release('buffer', name);
  };
  const update: SelfMetrics['update'] = (buffer, readings) => {
    if (recording !== undefined && recordingNs !== undefined)
      recording.set(recording.slot([buffer]), recordedOf(readings) * recordingNs);
    for (const reading of readings) {
      const cpu = String(reading.cpu);
      read.set(read.slot([buffer, cpu]), reading.events);
      readBytes.set(readBytes.slot([buffer, cpu]), reading.bytes);
      const { loss, unreadBytes, capacityBytes } = reading;
      if (loss === undefined) continue;
      fill.set(fill.slot([buffer, cpu]), capacityBytes > 0 ? Math.min(1, unreadBytes / capacityBytes) : 0);
      lost.set(lost.slot([buffer, cpu, 'overrun']), loss.overrun);
      // A series appears only after its first loss. `commit_overrun`: interrupts filled the buffer during one write.
      // `dropped`: another user of tracefs has disabled overwrite mode.
      const rare = {
        commit_overrun: loss.commitOverrun,
        dropped: loss.dropped,
        taken: loss.taken,
        cleared: loss.cleared,
        paused: loss.paused,
      };
      for (const [reason, count] of Object.entries(rare))
        if (count > 0) lost.set(lost.slot([buffer, cpu, reason]), count);
    }
  };
  return { update, forgetBuffer };
}

function recordedOf(readings: readonly BufferReading[]): number {
  return readings.reduce((sum, { events, loss }) => {
    const lost = loss === undefined ? 0 : loss.overrun + loss.commitOverrun + loss.taken;
    return sum + events + lost;
  }, 0);
}
