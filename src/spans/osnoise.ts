/** Makes traces of the kind `osnoise`: a noisy measurement period of the tracer, with the longest interruptions. */
import { type IntervalSinks, NOISE_SOURCES } from '../model/intervals.ts';
import type { KindOptions } from '../model/span.ts';
import { seconds } from './attributes.ts';
import type { SpanDeps } from './deps.ts';
import type { Offer, SpanDraft, TraceDraft } from './draft.ts';
import { longest } from './longest.ts';
import { clipped, NoiseJournal } from './noise-journal.ts';

const MOST_CHILDREN = 32;

interface Period {
  cpu: number;
  endNs: number;
  runtimeNs: number;
  noiseNs: number;
  longestNs: number;
}

export function makeOsnoise(options: KindOptions, offer: Offer, deps: SpanDeps): IntervalSinks {
  const journal = new NoiseJournal();
  const width = NOISE_SOURCES.length;
  /** Nanoseconds of noise since the end of the last period, by CPU and source. */
  const totals = new Float64Array(deps.cpuCount * width);
  return {
    osnoise: {
      held: (noise, bytes, nameStart, nameEnd) => {
        journal.add(noise, bytes, nameStart, nameEnd);
        totals[noise.cpu * width + NOISE_SOURCES.indexOf(noise.source)] += noise.durationNs;
      },
      lost: (cpu, untilNs) => journal.lost(cpu, untilNs),
      period: (cpu, endNs, runtimeNs, noiseNs, longestNs) => {
        const ofCpu = totals.subarray(cpu * width, (cpu + 1) * width);
        if (noiseNs >= options.thresholdNs)
          offer('osnoise', noiseNs, () =>
            draftOf({ cpu, endNs, runtimeNs, noiseNs, longestNs }, journal, ofCpu),
          );
        ofCpu.fill(0);
      },
    },
  };
}

function draftOf(period: Period, journal: NoiseJournal, totals: Float64Array): TraceDraft {
  const { cpu, endNs, runtimeNs, noiseNs, longestNs } = period;
  const startNs = endNs - runtimeNs;
  const noise = journal.since(cpu, startNs);
  const { spans: children, pruned } = longest(clipped(noise.spans, startNs, endNs), MOST_CHILDREN);
  const root: SpanDraft = {
    name: 'osnoise period',
    startNs,
    endNs,
    attributes: {
      'cpu.logical_number': cpu,
      'ftrace.osnoise.noise': seconds(noiseNs),
      'ftrace.osnoise.max_single_noise': seconds(longestNs),
      ...Object.fromEntries(
        NOISE_SOURCES.map((source, i) => [`ftrace.osnoise.${source}`, seconds(totals[i])]),
      ),
      'ftrace.children.pruned': pruned || undefined,
      'ftrace.incomplete': noise.whole ? undefined : true,
    },
    children,
  };
  return { root, pid: 0, pruned, exemplars: [] };
}
