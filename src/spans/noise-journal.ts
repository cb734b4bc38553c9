/**
 * What took a CPU from a thread that watches it, in a ring a CPU, youngest last; spans of a part of the time leave. One
 * within another is its child: it ended, and was recorded, before that.
 *
 * Starts are by a clock of the tracer's own. It is laid on the trace clock by what was recorded soonest after its end.
 */
import { NOISE_SOURCES, type Noise } from '../model/intervals.ts';
import { SOFTIRQS } from '../model/softirqs.ts';
import type { Attributes } from '../model/span.ts';
import type { TimestampNs } from '../model/time.ts';
import { seconds } from './attributes.ts';
import type { SpanDraft } from './draft.ts';
import { textUpToNul } from './text.ts';

/** A power of two. */
const DEPTH = 1 << 11;
const NAME_BYTES = 32;
/** Records that are looked at to find how the clocks differ, at least. */
const CLOCK_RECORDS = 64;

interface Ring {
  sources: Uint8Array;
  ids: Int32Array;
  starts: Float64Array;
  durations: Float64Array;
  recorded: Float64Array;
  names: Uint8Array;
  count: number;
  /** Records before this may be missing. */
  lostNs: TimestampNs;
}

export interface NoiseSpans {
  spans: SpanDraft[];
  /** False where some may be missing. */
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

  /** Of what ended on a CPU since then. */
  since(cpu: number, fromNs: TimestampNs): NoiseSpans {
    const ring = this.#rings[cpu];
    if (ring === undefined) return { spans: [], whole: true };
    const kept = Math.min(DEPTH, ring.count);
    let found = 0;
    let offsetNs = Number.POSITIVE_INFINITY;
    for (let i = 1; i <= kept; i++) {
      const at = (ring.count - i) & (DEPTH - 1);
      const isLater = ring.recorded[at] >= fromNs;
      if (!isLater && i > CLOCK_RECORDS) break;
      if (isLater) found = i;
      offsetNs = Math.min(offsetNs, ring.recorded[at] - ring.starts[at] - ring.durations[at]);
    }
    const top: SpanDraft[] = [];
    for (let i = found; i > 0; i--) nest(top, ring, (ring.count - i) & (DEPTH - 1), cpu, offsetNs);
    return { spans: top, whole: (found < DEPTH || ring.count === DEPTH) && ring.lostNs <= fromNs };
  }
}

/** Adds one that ended after all that are there. */
function nest(top: SpanDraft[], ring: Ring, at: number, cpu: number, offsetNs: number): void {
  const startNs = ring.starts[at] + offsetNs;
  let endNs = startNs + ring.durations[at];
  const children: SpanDraft[] = [];
  for (let last = top.at(-1); last !== undefined && last.startNs >= startNs; last = top.at(-1)) {
    children.unshift(last);
    // What was taken from it was not counted.
    endNs += last.endNs - last.startNs;
    top.pop();
  }
  const attributes = { 'cpu.logical_number': cpu, ...attributesOf(ring, at) };
  const source = NOISE_SOURCES[ring.sources[at]];
  top.push({ name: `${source} noise`, startNs, endNs, attributes, children });
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

/** Spans as far as they lie within a time, one after the other. */
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
        ...(startNs > span.startNs ? { 'ftrace.cut_at_start': true } : {}),
        ...(endNs < span.endNs ? { 'ftrace.cut_at_end': true } : {}),
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
