/**
 * For traces, reports noise events of osnoise and timerlat (include/trace/events/osnoise.h) to a sink. Noise is the
 * time in which interrupts or other tasks use the CPU instead of the tracer's thread.
 */
import type { Noise, NoiseSink, NoiseSource } from '../model/intervals.ts';
import type { BytesReader, EventHandler, EventRecord, IntReader } from '../model/record.ts';
import type { EventNeed, ProbeContext } from './probe.ts';

/**
 * A gap between two clock readings of the osnoise thread. Its field `interference` is the number of noise events in the
 * gap.
 */
export const GAP = 'osnoise:sample_threshold';

interface NoiseEvent {
  source: NoiseSource;
  event: string;
  /** Field with the pid of the thread, or the number of the interrupt or softirq vector. */
  id?: string;
  name?: string;
}

const EVENTS: readonly NoiseEvent[] = [
  { source: 'nmi', event: noiseEvent('nmi') },
  { source: 'irq', event: noiseEvent('irq'), id: 'vector', name: 'desc' },
  { source: 'softirq', event: noiseEvent('softirq'), id: 'vector' },
  { source: 'thread', event: noiseEvent('thread'), id: 'pid', name: 'comm' },
];

export function noiseEvent(source: string): string {
  return `osnoise:${source}_noise`;
}

/** Returns the events of all sources, all optional. */
export function noiseNeeds(): EventNeed[] {
  return EVENTS.map(({ source, event, id, name }) => ({
    event,
    fields: ['start', 'duration', ...(id === undefined ? [] : [id]), ...(name === undefined ? [] : [name])],
    without: `traces do not show ${source} noise`,
  }));
}

/** Returns handlers, by event, for the events that the kernel has. */
export function noiseHandlers(context: ProbeContext, sink: NoiseSink): Map<string, EventHandler> {
  const there = EVENTS.filter(({ event }) => context.format(event) !== undefined);
  return new Map(there.map((event) => [event.event, noiseHandler(context, sink, event)]));
}

/** The event must have the fields `start` and `duration`. */
export function noiseHandler(
  context: ProbeContext,
  sink: NoiseSink,
  { source, event, id, name: nameField }: NoiseEvent,
): EventHandler {
  const startOf = context.int(event, 'start');
  const durationOf = context.int(event, 'duration');
  const idOf: IntReader = id === undefined ? () => 0 : context.int(event, id);
  const name: BytesReader =
    nameField === undefined ? { start: none, end: none } : context.bytes(event, nameField);
  const noise: Noise = { source, cpu: 0, startNs: 0, durationNs: 0, recordedNs: 0, id: 0 };
  return (record) => {
    noise.cpu = record.cpu;
    noise.startNs = startOf(record);
    noise.durationNs = durationOf(record);
    noise.recordedNs = record.timestampNs;
    noise.id = idOf(record);
    sink.held(noise, record.bytes, name.start(record), name.end(record));
  };
}

function none(_record: EventRecord): number {
  return 0;
}
