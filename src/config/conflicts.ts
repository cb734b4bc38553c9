/** Probes that are on and cannot be on together, as lines for people: the place, both probes, and why. */
import type { SpanKind } from '../model/span.ts';
import { LATENCY_TRACERS } from '../model/tracer.ts';
import type { AgentConfig, ConfiguredProbe, ProbeSection } from './schema.ts';

/** `placeOf` tells where a probe was named: a place in a file, a variable, a flag. One line a pair. */
export function describeConflicts(
  sections: readonly ProbeSection[],
  probes: readonly ConfiguredProbe[],
  placeOf: (probe: string) => string,
): string[] {
  const told = new Set<string>();
  return probes.flatMap(({ name, options }) => {
    const section = sections.find((candidate) => candidate.name === name);
    const others = new Map<string, unknown>(
      probes.filter((probe) => probe.name !== name).map((probe) => [probe.name, probe.options]),
    );
    const conflict = section?.conflict?.(options, others);
    if (conflict === undefined) return [];
    const pair = [name, conflict.with].sort().join(' ');
    if (told.has(pair)) return [];
    told.add(pair);
    const where = [placeOf(name), `probes.${name}`].filter((part) => part !== '').join(': ');
    const there = placeOf(conflict.with);
    const other = there === '' ? conflict.with : `${conflict.with} (${there})`;
    return [`${where}: cannot be on together with ${other}: ${conflict.why}`];
  });
}

/** Kinds of traces made from what a tracer records, and what its probe says that nobody else can. */
const OF_TRACERS: Readonly<Partial<Record<SpanKind, string>>> = {
  function_graph: 'which says what functions',
  timerlat: 'which says on what CPUs',
  osnoise: 'which says on what CPUs',
  ...Object.fromEntries(LATENCY_TRACERS.map((tracer) => [tracer, 'which runs the tracer'])),
};

/** Kinds whose probe is not on, one line each. `placeOf`: as above, of a kind. */
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
