/** Describes conflicts between probes that are on, as lines for people: the place, both probes, and the reason. */
import type { SpanKind } from '../model/span.ts';
import { LATENCY_TRACERS } from '../model/tracer.ts';
import type { AgentConfig, ConfiguredProbe, ProbeSection } from './schema.ts';

/** One line per pair. `placeOf` gives the place where a probe was named: in a file, a variable or a flag. */
export function describeConflicts(
  sections: readonly ProbeSection[],
  probes: readonly ConfiguredProbe[],
  placeOf: (probe: string) => string,
): string[] {
  const reported = new Set<string>();
  return probes.flatMap(({ name, options }) => {
    const section = sections.find((candidate) => candidate.name === name);
    const others = new Map<string, unknown>(
      probes.filter((probe) => probe.name !== name).map((probe) => [probe.name, probe.options]),
    );
    const conflict = section?.conflict?.(options, others);
    if (conflict === undefined) return [];
    const pair = [name, conflict.with].sort().join(' ');
    if (reported.has(pair)) return [];
    reported.add(pair);
    const where = [placeOf(name), `probes.${name}`].filter((part) => part !== '').join(': ');
    const there = placeOf(conflict.with);
    const other = there === '' ? conflict.with : `${conflict.with} (${there})`;
    return [`${where}: cannot be on together with ${other}: ${conflict.why}`];
  });
}

/** Kinds of traces made from a tracer's records, and what only their probe can configure. */
const OF_TRACERS: Readonly<Partial<Record<SpanKind, string>>> = {
  function_graph: 'which chooses the functions',
  timerlat: 'which chooses the CPUs',
  osnoise: 'which chooses the CPUs',
  ...Object.fromEntries(LATENCY_TRACERS.map((tracer) => [tracer, 'which runs the tracer'])),
};

/** One line for each kind whose probe is not on. `placeOf`: as above, for a kind. */
export function describeKindsAlone(
  { spans, probes }: Pick<AgentConfig, 'spans' | 'probes'>,
  placeOf: (kind: string) => string,
): string[] {
  return Object.keys(spans?.kinds ?? {}).flatMap((kind) => {
    const says = OF_TRACERS[kind as SpanKind];
    if (says === undefined || probes.some(({ name }) => name === kind)) return [];
    const where = [placeOf(kind), `spans.kinds.${kind}`].filter((part) => part !== '').join(': ');
    return [`${where} needs probes.${kind}, ${says}`];
  });
}
