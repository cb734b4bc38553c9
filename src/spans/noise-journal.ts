/**
 * Keeps a ring buffer per CPU of the interruptions (noise) of osnoise and timerlat threads, and makes spans of them. An
 * inner interruption ends first, so it is recorded before the outer one. Start times are from the tracer's own clock
 * (sched_clock), which drifts from the trace clock by about 10 to 50 ppm.
 */
import { NOISE_SOURCES, type Noise } from '../model/intervals.ts';
import { SOFTIRQS } from '../model/softirqs.ts';
import type { Attributes } from '../model/span.ts';
import type { TimestampNs } from '../model/time.ts';
import { seconds } from './attributes.ts';
import type { SpanDraft } from './draft.ts';
import { textUpToNul } from './text.ts';

/** Must be a power of two, because `DEPTH - 1` is a bit mask. */
const DEPTH = 1 << 11;
const NAME_BYTES = 32;
/** Number of records before the period that help to estimate the difference between the clocks. */
const CLOCK_RECORDS = 64;
/** Maximum drift between the clocks: the limit of NTP corrections (MAXFREQ in include/linux/timex.h). */
const DRIFT = 500e-6;

interface Ring {
  sources: Uint8Array;
  ids: Int32Array;
  starts: Float64Array;
  durations: Float64Array;
  recorded: Float64Array;
  names: Uint8Array;
  count: number;
  /** Records before this time may be missing. */
  lostNs: TimestampNs;
}

export interface NoiseSpans {
  spans: SpanDraft[];
  /** False if some records may be missing. */
  whole: boolean;
}

export class NoiseJournal {
  readonly #rings: Ring[] = [];

  add(noise: Noise, bytes: Uint8Array, nameStart: number, nameEnd: number): void {
    this.#rings[noise.cpu] ??= newRing();
    const ring = this.#rings[noise.cpu];
    const at = ring.count++ & (DEPTH - 1);
    ring.sources[at] = NOISE_SOURCES.indexOf(noise.source);
    ring.ids[at] = noise.id;
    ring.starts[at] = noise.startNs;
    ring.durations[at] = noise.durationNs;
    ring.recorded[at] = noise.recordedNs;
    const name = at * NAME_BYTES;
    const length = Math.min(nameEnd - nameStart, NAME_BYTES);
    for (let i = 0; i < length; i++) ring.names[name + i] = bytes[nameStart + i];
    if (length < NAME_BYTES) ring.names[name + Math.max(length, 0)] = 0;
  }

  lost(cpu: number, untilNs: TimestampNs): void {
    this.#rings[cpu] ??= newRing();
    this.#rings[cpu].lostNs = untilNs;
  }

  /** Returns the spans of the interruptions of a CPU that the kernel recorded at or after `fromNs`. */
  since(cpu: number, fromNs: TimestampNs): NoiseSpans {
    const ring = this.#rings[cpu];
    if (ring === undefined) return { spans: [], whole: true };
    const available = Math.min(DEPTH, ring.count);
    let wanted = 0;
    let count = 0;
    while (count < available && count - wanted < CLOCK_RECORDS)
      if (ring.recorded[placeOf(ring, ++count)] >= fromNs) wanted = count;
    const offsets = offsetsOf(ring, count);
    const top: Nested[] = [];
    for (let i = wanted; i > 0; i--) nest(top, ring, i, cpu);
    return {
      spans: onTraceClock(top, offsets),
      whole: (wanted < DEPTH || ring.count === DEPTH) && ring.lostNs <= fromNs,
    };
  }
}

/** Returns the index in the ring of the record with this age. The newest record has age 1. */
function placeOf(ring: Ring, age: number): number {
  return (ring.count - age) & (DEPTH - 1);
}

/**
 * Estimates `trace clock - tracer's clock` in nanoseconds for the newest `count` records, by age. Records are written
 * late, so a timestamp minus the end of the interruption is an upper bound. Bounds of other records hold too, plus
 * drift.
 */
function offsetsOf(ring: Ring, count: number): Float64Array {
  const offsets = new Float64Array(count + 1);
  let at = 0;
  let offsetNs = Number.POSITIVE_INFINITY;
  const closer = (age: number): void => {
    const before = at;
    at = placeOf(ring, age);
    offsetNs = Math.min(offsets[age], offsetNs + DRIFT * Math.abs(ring.recorded[at] - ring.recorded[before]));
    offsets[age] = offsetNs;
  };
  for (let age = count; age > 0; age--) {
    const own = placeOf(ring, age);
    offsets[age] = ring.recorded[own] - ring.starts[own] - ring.durations[own];
    closer(age);
  }
  for (let age = 1; age <= count; age++) closer(age);
  return offsets;
}

/** A span with times of the tracer's clock, and the age of its record. */
interface Nested {
  span: SpanDraft;
  age: number;
}

/** Adds the interruption with this age to `top`. Interruptions in `top` that lie inside become its children. */
function nest(top: Nested[], ring: Ring, age: number, cpu: number): void {
  const at = placeOf(ring, age);
  const startNs = ring.starts[at];
  let endNs = startNs + ring.durations[at];
  const children: SpanDraft[] = [];
  for (let last = top.at(-1); last !== undefined && last.span.startNs >= startNs; last = top.at(-1)) {
    children.unshift(last.span);
    // The duration excludes nested interruptions. Add their time back.
    endNs += last.span.endNs - last.span.startNs;
    top.pop();
  }
  const attributes = { 'cpu.logical_number': cpu, ...attributesOf(ring, at) };
  const source = NOISE_SOURCES[ring.sources[at]];
  top.push({ span: { name: `${source} noise`, startNs, endNs, attributes, children }, age });
}

/** Converts spans to the trace clock so that they do not overlap. Children are shifted with their parent. */
function onTraceClock(top: readonly Nested[], offsets: Float64Array): SpanDraft[] {
  let endNs = Number.NEGATIVE_INFINITY;
  let offsetNs = Number.NEGATIVE_INFINITY;
  return top.map(({ span, age }) => {
    offsetNs = Math.max(Math.round(offsets[age]), Math.min(offsetNs, endNs - span.startNs));
    endNs = span.endNs + offsetNs;
    return shifted(span, offsetNs);
  });
}

function shifted(span: SpanDraft, byNs: number): SpanDraft {
  return {
    ...span,
    startNs: span.startNs + byNs,
    endNs: span.endNs + byNs,
    children: span.children.map((child) => shifted(child, byNs)),
  };
}

function attributesOf(ring: Ring, at: number): Attributes {
  const id = ring.ids[at];
  const name = textUpToNul(Buffer.from(ring.names.buffer, at * NAME_BYTES, NAME_BYTES));
  const noise = { 'ftrace.noise.time': seconds(ring.durations[at]) };
  const source = NOISE_SOURCES[ring.sources[at]];
  if (source === 'irq') return { ...noise, 'ftrace.irq.number': id, 'ftrace.irq.handler': name };
  if (source === 'softirq') return { ...noise, 'ftrace.softirq.vector': SOFTIRQS[id] ?? String(id) };
  if (source === 'thread') return { ...noise, 'ftrace.thread.id': id, 'thread.name': name };
  return noise;
}

/** Cuts spans to a period and leaves out spans outside the period. The spans must be in time order. */
export function clipped(spans: readonly SpanDraft[], fromNs: TimestampNs, toNs: TimestampNs): SpanDraft[] {
  const within: SpanDraft[] = [];
  let freeNs = fromNs;
  for (const span of spans) {
    const startNs = Math.max(span.startNs, freeNs);
    const endNs = Math.min(span.endNs, toNs);
    if (endNs <= startNs) continue;
    within.push({
      ...span,
      startNs,
      endNs,
      attributes: {
        ...span.attributes,
        'ftrace.cut_at_start': startNs > span.startNs ? true : undefined,
        'ftrace.cut_at_end': endNs < span.endNs ? true : undefined,
      },
      children: clipped(span.children, startNs, endNs),
    });
    freeNs = endNs;
  }
  return within;
}

function newRing(): Ring {
  return {
    sources: new Uint8Array(DEPTH),
    ids: new Int32Array(DEPTH),
    starts: new Float64Array(DEPTH),
    durations: new Float64Array(DEPTH),
    recorded: new Float64Array(DEPTH),
    names: new Uint8Array(DEPTH * NAME_BYTES),
    count: 0,
    lostNs: 0,
  };
}
