/** Replays a recording from memory, so that a benchmark measures neither file access nor set-up. */

import type { EventPlan } from '../src/agent/plan/plan.ts';
import { Pipeline } from '../src/agent/stream/pipeline.ts';
import type { PageLayout } from '../src/model/format.ts';
import type { Capture } from '../src/tracedat/read.ts';

/** All pages of each CPU, in the order of `capture.source.cpus()`. */
export function pagesOf(capture: Capture): Uint8Array[][] {
  const { layout } = capture.metadata;
  return capture.source.cpus().map((cpu) => {
    const all: Uint8Array[] = [];
    for (;;) {
      const page = new Uint8Array(layout.pageSize);
      if (capture.source.readPage(cpu, page) === 0) return all;
      all.push(page);
    }
  });
}

/** Returns a function that sends all pages through one pipeline, reused as in the agent, and counts the events. */
export function passes(
  cpus: readonly number[],
  pages: readonly Uint8Array[][],
  layout: PageLayout,
  plan: EventPlan,
) {
  const next = pages.map(() => 0);
  const source = {
    cpus: () => cpus,
    readPage: (cpu: number, into: Uint8Array) => {
      const at = cpus.indexOf(cpu);
      const page = pages[at][next[at]++];
      if (page === undefined) return 0;
      into.set(page);
      return page.length;
    },
  };
  const pipeline = new Pipeline({ source, layout, plan, onError: () => {} });
  let before = 0;
  return () => {
    next.fill(0);
    pipeline.flush();
    const total = cpus.reduce((sum, cpu) => sum + pipeline.merger.events(cpu), 0);
    const events = total - before;
    before = total;
    return events;
  };
}
