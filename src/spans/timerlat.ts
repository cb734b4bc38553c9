/**
 * Makes traces of the kind `timerlat`: an activation (one expiry of the timer) whose thread ran late. One child lasts
 * until the timer's interrupt, the other until the thread ran. Below them are the interruptions.
 */
import type { IntervalSinks } from '../model/intervals.ts';
import type { KindOptions } from '../model/span.ts';
import type { SpanDeps } from './deps.ts';
import type { Offer, SpanDraft, TraceDraft } from './draft.ts';
import { longest } from './longest.ts';
import { clipped, NoiseJournal } from './noise-journal.ts';
import { exemplar } from './waits.ts';

const LATENCY = 'ftrace_timerlat_latency_seconds';
/** Maximum number of interruptions shown below each child of the root span. */
const MOST_CHILDREN = 32;

interface Activation {
  cpu: number;
  atNs: number;
  irqNs: number;
  threadNs: number;
  pid: number;
}

export function makeTimerlat(options: KindOptions, offer: Offer, deps: SpanDeps): IntervalSinks {
  const journal = new NoiseJournal();
  return {
    timerlat: {
      thresholdNs: options.thresholdNs,
      held: (noise, bytes, nameStart, nameEnd) => journal.add(noise, bytes, nameStart, nameEnd),
      lost: (cpu, untilNs) => journal.lost(cpu, untilNs),
      activated: (cpu, atNs, irqNs, threadNs, pid) =>
        offer('timerlat', threadNs, () => draftOf({ cpu, atNs, irqNs, threadNs, pid }, journal, deps)),
    },
  };
}

function draftOf(activation: Activation, journal: NoiseJournal, deps: SpanDeps): TraceDraft {
  const { cpu, atNs, irqNs, threadNs, pid } = activation;
  const startNs = atNs - threadNs;
  const noise = journal.since(cpu, startNs);
  let pruned = 0;
  const part = (name: string, from: number, to: number): SpanDraft => {
    const { spans: children, pruned: leftOut } = longest(clipped(noise.spans, from, to), MOST_CHILDREN);
    pruned += leftOut;
    return {
      name,
      startNs: from,
      endNs: to,
      attributes: {
        'cpu.logical_number': cpu,
        'ftrace.children.pruned': leftOut || undefined,
      },
      children,
    };
  };
  // `irqNs` is NaN if the tracer's record of the interrupt is missing.
  const irqEndNs = irqNs >= 0 && irqNs <= threadNs ? startNs + irqNs : undefined;
  const parts =
    irqEndNs === undefined
      ? []
      : [part('timerlat irq', startNs, irqEndNs), part('timerlat thread', irqEndNs, atNs)];
  const root: SpanDraft = {
    name: 'timerlat activation',
    startNs,
    endNs: atNs,
    attributes: {
      'cpu.logical_number': cpu,
      'ftrace.thread.id': pid,
      'ftrace.incomplete': noise.whole && irqEndNs !== undefined ? undefined : true,
    },
    children: parts,
  };
  const exemplarOf = (context: string, span: SpanDraft) =>
    exemplar(deps, 'timerlat', LATENCY, [context], { cpu, span });
  const ofIrq = parts.slice(0, 1).flatMap((span) => exemplarOf('irq', span));
  return { root, pid: 0, pruned, exemplars: [...exemplarOf('thread', root), ...ofIrq] };
}
