/** Plans how to read a buffer of the running kernel. */
import { BLOCK_EVENT, BLOCK_FORMAT_TEXT } from '../../decode/text/blk-format.ts';
import { makeFunctionInterner } from '../../decode/text/function-interner.ts';
import { makeTextProblems } from '../../decode/text/line-types.ts';
import { onlineCpus } from '../../host/cpus.ts';
import type { FunctionLookup } from '../../model/function-names.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { openTracePipe } from '../../tracefs/trace-pipe.ts';
import { traitsOf } from '../../tracefs/tracer-traits.ts';
import type { MadeProbe } from '../plan/kept-probes.ts';
import { type EventPlan, type PlanInput, planEvents } from '../plan/plan.ts';
import { makeTraceClock } from '../stream/clock.ts';
import { Pipeline } from '../stream/pipeline.ts';
import type { EventStream } from '../stream/stream.ts';
import { makeTextPipeline } from '../stream/text-pipeline.ts';
import type { Shared } from './shared.ts';

/** `none`: the agent does not read the buffer. */
export type ReaderKind = 'raw' | 'trace_pipe' | 'none';

export interface OpenStream {
  stream: EventStream;
  /** CPUs whose buffers can contain unread events. */
  cpus(): readonly number[];
  refresh(): void;
  close(): void;
}

export interface PlannedStream {
  plan: EventPlan;
  reader: ReaderKind;
  /**
   * Undefined for the reader `none`. The kernel refuses to change the tracer while the files are open. Throws
   * `KernelError`.
   */
  open(): OpenStream | undefined;
}

export interface StreamParts extends Pick<PlanInput, 'enabled' | 'refused' | 'countInKernel'> {
  instance: Instance;
  reader: ReaderKind;
  /** `nop` if the buffer contains only events. */
  tracer: string;
  shared: Shared;
  /** Unused with text, because text contains the names. */
  functions: FunctionLookup;
  /** Probes of the previous plan, on a reload. */
  made?: readonly MadeProbe[] | undefined;
}

export function planStream(parts: StreamParts): PlannedStream {
  return parts.reader === 'trace_pipe' ? planText(parts) : planRaw(parts);
}

/** The part of a plan's input that is the same for all readers. */
function inputFor({ instance, enabled, shared, refused, countInKernel }: StreamParts): PlanInput {
  return {
    refused,
    countInKernel,
    inParts: true,
    enabled,
    metadata: instance.metadata(),
    host: shared.host,
    onlineCpus: shared.onlineCpus,
    store: shared.store,
    self: shared.self,
    isSelf: shared.own.has,
    maxWindowMs: shared.config.maxWindowMs,
  };
}

function planRaw(parts: StreamParts): PlannedStream {
  const { instance, reader, shared, functions } = parts;
  const plan = planEvents({ ...inputFor(parts), functions }, parts.made);
  const open = (): OpenStream | undefined => {
    if (reader === 'none') return undefined;
    const pages = instance.openPages();
    const { layout } = instance.metadata();
    const stream = new Pipeline({ source: pages, layout, plan, onError: shared.onError });
    return { stream, cpus: pages.cpus, refresh: pages.refresh, close: pages.close };
  };
  return { plan, reader, open };
}

function planText(parts: StreamParts): PlannedStream {
  const { instance, reader, tracer, shared } = parts;
  const functions = makeFunctionInterner();
  const input = inputFor(parts);
  const { formatText } = input.metadata;
  const textInput = {
    ...input,
    metadata: {
      ...input.metadata,
      formatText: (event: string) => textFormat(event) ?? formatText(event),
    },
    functions: () => functions,
    unreadable: makeTextProblems(),
  };
  const plan = planEvents(textInput, parts.made);
  const open = (): OpenStream => {
    const source = openTracePipe(instance.dir);
    let cpus = [...shared.onlineCpus];
    const stream = makeTextPipeline({
      source,
      plan,
      functions,
      cpuCount: instance.cpuCount,
      isGraph: traitsOf(tracer).isGraph === true,
      losses: (visit) => {
        for (const cpu of cpus) {
          const { overrun, commitOverrun, droppedEvents } = instance.stats(cpu);
          visit(cpu, overrun + commitOverrun + droppedEvents);
        }
      },
      now: makeTraceClock(),
      onError: shared.onError,
    });
    return {
      stream,
      cpus: () => cpus,
      // The buffers of offline CPUs can still contain unread events.
      refresh: () => {
        cpus = [...new Set([...cpus, ...onlineCpus()])];
      },
      close: source.close,
    };
  };
  return { plan, reader, open };
}

/** Returns a format for the records of the blk tracer. The kernel has a format file only for other events. */
export function textFormat(event: string): string | undefined {
  return event === BLOCK_EVENT ? BLOCK_FORMAT_TEXT : undefined;
}
