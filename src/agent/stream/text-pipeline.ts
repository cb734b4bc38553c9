/**
 * From text to handler calls: reads `trace_pipe`, or a file, and runs the handlers, as `pipeline.ts` does with pages.
 *
 * The kernel has merged the CPUs when it made the text, so lines come in the order of time. But a `LOST EVENTS` line comes
 * with the first event after the loss on its own CPU, and other CPUs' younger lines before it. So the kernel's counts are
 * looked at between reading and decoding: a line younger than lost events can only have been read after they were lost,
 * when the counts had them already, and no pair is ever closed across a loss.
 */

import type { Dispatcher } from '../../decode/dispatch.ts';
import type { PageError } from '../../decode/page.ts';
import { HOLD_BACK, makeTextDecoder, type TextDecoder } from '../../decode/text/decoder.ts';
import type { FunctionInterner } from '../../decode/text/function-interner.ts';
import { lastLineStamp } from '../../decode/text/last-stamp.ts';
import type { TextEventType } from '../../decode/text/types.ts';
import type { TextSource } from '../../model/source.ts';
import type { TimestampNs } from '../../model/time.ts';
import type { EventStream } from './stream.ts';

/** Text that is read before it is decoded: bounds memory, not speed. */
const ROUND_BYTES = 1 << 20;
/** The kernel gives at most two pages a read, whole lines when there is room for them. */
const LEAST_ROOM = 1 << 16;
/** Text is made while it is read, some microseconds an event: other buffers and questions must not wait for all of it. */
const LONGEST_TICK_MS = 50;
const NEWLINE = 0x0a;

export interface TextPipelineOptions {
  source: TextSource;
  plan: {
    dispatcher: Dispatcher;
    types: readonly TextEventType[];
    onLoss(cpu: number, untilNs: TimestampNs): void;
    /** What began before `untilNs` is void, because a line could not be read. By default the same as `onLoss`. */
    onBroken?(cpu: number, untilNs: TimestampNs): void;
  };
  functions: FunctionInterner;
  /** CPUs from this number on cannot be. */
  cpuCount: number;
  /** The tracer's lines are those of function_graph. */
  isGraph: boolean;
  /** The last line had no newline of its own: see `makeTextDecoder`. */
  endsOpen?: boolean;
  /**
   * Events lost on each CPU so far, as the kernel counts them (overrun, commit overrun and dropped events): `visit` is
   * called for every CPU that can have any. Absent where there is no kernel to ask: a file.
   */
  losses?(visit: (cpu: number, lost: number) => void): void;
  /** The trace clock. */
  now(): TimestampNs;
  onError(cpu: number, error: PageError, cause?: unknown): void;
  roundBytes?: number;
  /** A tick ends, unfinished, with the round in which this has passed. */
  longestTickMs?: number;
}

export interface TextStream extends EventStream, Pick<TextDecoder, 'broken' | 'endsCut'> {}

export function makeTextPipeline(options: TextPipelineOptions): TextStream {
  const { source, plan, losses } = options;
  let errors = 0;
  const decoder: TextDecoder = makeTextDecoder({
    types: plan.types,
    dispatcher: plan.dispatcher,
    functions: options.functions,
    cpuCount: options.cpuCount,
    isGraph: options.isGraph,
    endsOpen: options.endsOpen ?? false,
    target: {
      onLoss: plan.onLoss,
      onBroken: plan.onBroken ?? plan.onLoss,
      onError: (cpu, error, cause) => {
        errors++;
        options.onError(cpu, error, cause);
      },
    },
  });
  const roundBytes = Math.max(LEAST_ROOM, options.roundBytes ?? ROUND_BYTES);
  const text = new Uint8Array(HOLD_BACK + roundBytes + LEAST_ROOM);
  /** Bytes at the front of `text` that wait for what follows. */
  let kept = 0;
  const lostBefore: number[] = [];
  /** End of an interruption up to which not all events have been handed out. */
  let gapUntil = 0;

  const tellGap = (): void => {
    for (let cpu = 0; cpu < options.cpuCount; cpu++) plan.onLoss(cpu, gapUntil);
  };

  const visitLoss = (cpu: number, lost: number): void => {
    const before = lostBefore[cpu] ?? 0;
    lostBefore[cpu] = lost;
    // At or after the oldest event that this CPU's buffer still has, whatever was lost: no event is younger than now.
    if (lost > before) plan.onLoss(cpu, options.now());
  };

  /** Reads and decodes up to `roundBytes`. True when there is nothing more to read in this tick. */
  const round = (tickStart: TimestampNs): boolean => {
    let filled = kept;
    let isDone = false;
    let isDry = false;
    while (filled - kept < roundBytes) {
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
    if (filled > kept) losses?.(visitLoss);
    // The kernel gives whole lines; a file ends a piece anywhere.
    const isWhole = isDry || (losses !== undefined && text[filled - 1] === NEWLINE);
    const behind = decoder.decode(text, 0, filled, isWhole);
    text.copyWithin(0, behind, filled);
    kept = filled - behind;
    return isDone;
  };

  return {
    tick: (tickStart, maxRounds) => {
      const endsAtMs = performance.now() + (options.longestTickMs ?? LONGEST_TICK_MS);
      for (let i = 0; i < maxRounds; i++) {
        if (round(tickStart)) {
          // What is read now was recorded before: pairs that it opened are void as well.
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
    // Lines of function_graph stand for one event or for two: a count of them is not compared with the kernel's.
    pendingEvents: () => (kept === 0 && !options.isGraph ? 0 : undefined),
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
