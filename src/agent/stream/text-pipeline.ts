/**
 * Reads text from `trace_pipe` or a file and calls the events' handlers, as `pipeline.ts` does with pages.
 *
 * The kernel merges the events of all CPUs by time when it writes the text. But it reports a loss late: the line `LOST
 * EVENTS` comes directly before the same CPU's next event, and lines of other CPUs from after the loss can come
 * earlier. Therefore this file reads the kernel's loss counters after it has read the text and before it decodes the
 * text. The counters include every loss before the last line. So an operation that began before a loss is dropped
 * before its end is decoded.
 */

import type { Dispatcher } from '../../decode/dispatch.ts';
import type { PageError } from '../../decode/page.ts';
import { HOLD_BACK, makeTextDecoder, type TextDecoder } from '../../decode/text/decoder.ts';
import type { FunctionInterner } from '../../decode/text/function-interner.ts';
import { lastLineStamp } from '../../decode/text/last-stamp.ts';
import type { TextEventType } from '../../decode/text/types.ts';
import type { TextSource } from '../../model/source.ts';
import type { TimestampNs } from '../../model/time.ts';
import type { EventStream, PhaseTimes } from './stream.ts';

/** Number of bytes of text to read before decoding. Limits memory use; does not affect speed. */
const ROUND_BYTES = 1 << 20;
/**
 * Minimum free space in bytes before a read. The kernel returns at most two memory pages of text per read. It returns
 * only whole lines if they fit into the space.
 */
const LEAST_ROOM = 1 << 16;
/**
 * Time limit of a tick, so that other buffers and requests do not wait until all text is read. Reading text is slow:
 * the kernel formats the text during the read, which costs some microseconds per event.
 */
const LONGEST_TICK_MS = 50;
const NEWLINE = 0x0a;

export interface TextPipelineOptions {
  source: TextSource;
  plan: {
    dispatcher: Dispatcher;
    types: readonly TextEventType[];
    onLoss(cpu: number, untilNs: TimestampNs): void;
    /** Called instead of `onLoss` if a line cannot be parsed. Drops operations that began before `untilNs`. */
    onBroken?(cpu: number, untilNs: TimestampNs): void;
  };
  functions: FunctionInterner;
  /** All CPU numbers are below this. */
  cpuCount: number;
  /** Whether the text comes from the function_graph tracer. */
  isGraph: boolean;
  /** Whether the last line of the text lacks its newline (see `makeTextDecoder`). */
  endsOpen?: boolean;
  /**
   * Calls `visit` for every CPU with the total number of events that the CPU has lost, from the kernel's counters
   * (overrun, commit overrun and dropped events). Absent for a file.
   */
  losses?(visit: (cpu: number, lost: number) => void): void;
  /** Returns the time of the trace clock. */
  now(): TimestampNs;
  onError(cpu: number, error: PageError, cause?: unknown): void;
  roundBytes?: number;
  /** The tick ends after the first round that exceeds this time. */
  longestTickMs?: number;
}

export interface TextStream extends EventStream, Pick<TextDecoder, 'broken' | 'endsCut'> {}

export function makeTextPipeline(options: TextPipelineOptions): TextStream {
  const { source, plan, losses } = options;
  let errors = 0;
  const decoder = makeDecoder(options, () => {
    errors++;
  });
  const roundBytes = Math.max(LEAST_ROOM, options.roundBytes ?? ROUND_BYTES);
  const text = new Uint8Array(HOLD_BACK + roundBytes + LEAST_ROOM);
  /** Number of bytes at the start of `text` that are not decoded yet. */
  let waitingBytes = 0;
  const lostBefore: number[] = [];
  const spent: PhaseTimes = { readMs: 0, decodeMs: 0 };
  /**
   * Time at which the last interruption of recording ended. 0 if recording was never interrupted, or if all events from
   * before this time have been processed.
   */
  let gapUntil = 0;

  const tellGap = (): void => {
    for (let cpu = 0; cpu < options.cpuCount; cpu++) plan.onLoss(cpu, gapUntil);
  };

  const visitLoss = (cpu: number, lost: number): void => {
    const before = lostBefore[cpu] ?? 0;
    lostBefore[cpu] = lost;
    // Drop all operations that began before now, because the loss happened at an unknown time.
    if (lost > before) plan.onLoss(cpu, options.now());
  };

  /** Reads and decodes about `roundBytes`. Returns true if no text from before `tickStart` is left to read. */
  const round = (tickStart: TimestampNs): boolean => {
    const startMs = performance.now();
    let filled = waitingBytes;
    let isDone = false;
    let isDry = false;
    while (filled - waitingBytes < roundBytes) {
      const length = source.readText(text.subarray(filled));
      if (length === 0) {
        isDone = true;
        isDry = true;
        break;
      }
      const from = filled;
      filled += length;
      if (lastLineStamp(text, from, filled, options.isGraph) >= tickStart) {
        isDone = true;
        break;
      }
    }
    if (filled > waitingBytes) losses?.(visitLoss);
    // The kernel returns whole lines. A part of a file can end within a line.
    const isWhole = isDry || (losses !== undefined && text[filled - 1] === NEWLINE);
    const readMs = performance.now();
    const behind = decoder.decode(text, 0, filled, isWhole);
    spent.readMs += readMs - startMs;
    spent.decodeMs += performance.now() - readMs;
    text.copyWithin(0, behind, filled);
    waitingBytes = filled - behind;
    return isDone;
  };

  return {
    spent,
    tick: (tickStart, maxRounds) => {
      const endsAtMs = performance.now() + (options.longestTickMs ?? LONGEST_TICK_MS);
      for (let i = 0; i < maxRounds; i++) {
        if (round(tickStart)) {
          // All text from before the end of the interruption is now decoded. Drop the operations that began during the
          // interruption.
          if (gapUntil > 0 && tickStart >= gapUntil) {
            tellGap();
            gapUntil = 0;
          }
          return true;
        }
        if (performance.now() > endsAtMs) return false;
      }
      return false;
    },
    flush: () => {
      while (!round(Number.POSITIVE_INFINITY));
    },
    bytesRead: (cpu) => decoder.recordBytes(cpu),
    events: (cpu) => decoder.events(cpu),
    // One line of function_graph stands for one or two events, so the number of pending events is unknown.
    pendingEvents: () => (waitingBytes === 0 && !options.isGraph ? 0 : undefined),
    givenUp: () => errors,
    voidUntil: (untilNs) => {
      gapUntil = untilNs;
      tellGap();
    },
    flaggedLost: (cpu) => decoder.flaggedLost(cpu),
    lateEvents: () => decoder.lateEvents(),
    broken: decoder.broken,
    endsCut: decoder.endsCut,
  };
}

function makeDecoder(options: TextPipelineOptions, onError: () => void): TextDecoder {
  const { plan, functions, cpuCount, isGraph, endsOpen = false } = options;
  return makeTextDecoder({
    ...{ types: plan.types, dispatcher: plan.dispatcher, functions, cpuCount, isGraph, endsOpen },
    target: {
      onLoss: plan.onLoss,
      onBroken: plan.onBroken ?? plan.onLoss,
      onError: (cpu, error, cause) => {
        onError();
        options.onError(cpu, error, cause);
      },
    },
  });
}
