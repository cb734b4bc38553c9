/**
 * Reads text from `trace_pipe` or a file and calls the events' handlers. The kernel reports a loss late, with the same
 * CPU's next event. Therefore this file reads the kernel's loss counters before it decodes the text.
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

/** Text to read before decoding. Limits memory use; does not affect speed. */
const ROUND_BYTES = 1 << 20;
/** Minimum free space in bytes before a read, enough for the kernel to return only whole lines. */
const LEAST_ROOM = 1 << 16;
/** Time limit of a tick, because reading text costs some microseconds per event. */
const LONGEST_TICK_MS = 50;
const NEWLINE = 0x0a;

export interface TextPipelineOptions {
  source: TextSource;
  plan: {
    dispatcher: Dispatcher;
    types: readonly TextEventType[];
    onLoss(cpu: number, untilNs: TimestampNs): void;
    /** Called instead of `onLoss` if a line cannot be parsed. */
    onBroken?(cpu: number, untilNs: TimestampNs): void;
  };
  functions: FunctionInterner;
  cpuCount: number;
  isGraph: boolean;
  /** Whether the last line of the text lacks its newline. */
  endsOpen?: boolean;
  /** Calls `visit` with each CPU's total of lost events, from the kernel's counters. Absent for a file. */
  losses?(visit: (cpu: number, lost: number) => void): void;
  now(): TimestampNs;
  onError(cpu: number, error: PageError, cause?: unknown): void;
  roundBytes?: number;
  /** The tick ends after the first round that exceeds this time. */
  longestTickMs?: number;
}

export interface TextStream extends EventStream, Pick<TextDecoder, 'broken' | 'endsCut'> {}

export function makeTextPipeline(options: TextPipelineOptions): TextStream {
  const { source, plan, losses } = options;
  /** Lines that contain no CPU. The decoder counts the events of all other lines. */
  let withoutCpu = 0;
  const decoder = makeDecoder(options, (cpu) => {
    if (cpu < 0) withoutCpu++;
  });
  const roundBytes = Math.max(LEAST_ROOM, options.roundBytes ?? ROUND_BYTES);
  const text = new Uint8Array(HOLD_BACK + roundBytes + LEAST_ROOM);
  /** Number of bytes of `text` that are not decoded yet. They are at its beginning. */
  let waitingBytes = 0;
  const lostBefore: number[] = [];
  const spent: PhaseTimes = { readMs: 0, decodeMs: 0 };
  /** End of the last interruption of recording. 0 if all events from before it have been processed. */
  let gapUntil = 0;

  const tellGap = (): void => {
    for (let cpu = 0; cpu < options.cpuCount; cpu++) plan.onLoss(cpu, gapUntil);
  };
  /** Drops the operations that began during the interruption. */
  const endGap = (): void => {
    if (gapUntil > 0) tellGap();
    gapUntil = 0;
  };

  const visitLoss = (cpu: number, lost: number): void => {
    const before = lostBefore[cpu] ?? 0;
    lostBefore[cpu] = lost;
    // The loss happened at an unknown time before now.
    if (lost > before) plan.onLoss(cpu, options.now());
  };

  /** Returns true if no text from before `tickStart` is left to read. */
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
          if (tickStart >= gapUntil) endGap();
          return true;
        }
        if (performance.now() > endsAtMs) return false;
      }
      return false;
    },
    flush: () => {
      while (gapUntil > 0 && !round(gapUntil));
      endGap();
      while (!round(Number.POSITIVE_INFINITY));
    },
    bytesRead: (cpu) => decoder.recordBytes(cpu),
    events: (cpu) => decoder.events(cpu),
    // One line of function_graph stands for one or two events.
    pendingEvents: () => (waitingBytes === 0 && !options.isGraph ? 0 : undefined),
    givenUp: () => withoutCpu,
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

function makeDecoder(options: TextPipelineOptions, onError: (cpu: number) => void): TextDecoder {
  const { plan, functions, cpuCount, isGraph, endsOpen = false } = options;
  return makeTextDecoder({
    ...{ types: plan.types, dispatcher: plan.dispatcher, functions, cpuCount, isGraph, endsOpen },
    target: {
      onLoss: plan.onLoss,
      onBroken: plan.onBroken ?? plan.onLoss,
      onError: (cpu, error, cause) => {
        onError(cpu);
        options.onError(cpu, error, cause);
      },
    },
  });
}
