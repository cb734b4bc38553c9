/** Dependencies of spans for tests: a wall clock that equals the trace clock, and counters that tests can read. */
import { globMatcher } from '../../../src/config/units/globs.ts';
import type { SpanKind, SpanOutcome, TraceRecord } from '../../../src/model/span.ts';
import type { SpanDeps } from '../../../src/spans/deps.ts';

export interface TestDeps extends SpanDeps {
  /** Number of traces by `KIND OUTCOME`, as in `traces.get('block over_budget')`. */
  traces: Map<string, number>;
  spans: Map<string, number>;
}

export function testDeps(overrides: Partial<SpanDeps> = {}): TestDeps {
  const traces = new Map<string, number>();
  const spans = new Map<string, number>();
  const counting =
    (counts: Map<string, number>) =>
    (kind: SpanKind, outcome: SpanOutcome, count = 1): void => {
      const key = `${kind} ${outcome}`;
      counts.set(key, (counts.get(key) ?? 0) + count);
    };
  let last = 0;
  return {
    traces,
    spans,
    counts: {
      trace: counting(traces),
      span: counting(spans),
      filtered: (kind) => counting(traces)(kind, 'filtered' as SpanOutcome),
    },
    now: () => 5e9,
    wallTime: (ns) => [Math.floor(ns / 1e9), ns % 1e9],
    matcher: globMatcher,
    errnoName: (errno) => (errno === 28 ? 'ENOSPC' : undefined),
    parentOf: () => undefined,
    taskClass: () => 0,
    taskFacts: () => ({ attributes: {}, resource: {} }),
    seriesOf: (_probe, values) => values,
    random: (into) => {
      last++;
      for (let i = 0; i < into.length; i++) into[i] = (last >> (8 * (i % 4))) & 0xff;
    },
    isSelf: () => false,
    cpuCount: 4,
    ...overrides,
  };
}

/** Checks the rules for every trace, for example that children lie within their parent and do not overlap. */
export function problemsOf(trace: TraceRecord): string[] {
  const problems: string[] = [];
  const ns = ([seconds, nanoseconds]: readonly [number, number]) => seconds * 1e9 + nanoseconds;
  const ids = new Set<string>();
  trace.spans.forEach((span, i) => {
    if (ids.has(span.spanId)) problems.push(`${span.name}: its id is another's too`);
    ids.add(span.spanId);
    if (ns(span.end) - ns(span.start) !== span.durationNs) problems.push(`${span.name}: lasts otherwise`);
    if (span.durationNs < 0) problems.push(`${span.name}: ends before it begins`);
    if (i > 0 && !trace.spans.slice(0, i).some(({ spanId }) => spanId === span.parentSpanId))
      problems.push(`${span.name}: no parent before it`);
    const children = trace.spans.filter(({ parentSpanId }) => parentSpanId === span.spanId);
    let freeNs = ns(span.start);
    for (const child of children) {
      if (ns(child.start) < freeNs) problems.push(`${child.name} in ${span.name}: begins too early`);
      freeNs = ns(child.end);
      if (freeNs > ns(span.end)) problems.push(`${child.name} in ${span.name}: ends too late`);
    }
  });
  return problems;
}
