/** Describes conflicts between enabled probes, and enabled kinds of traces whose probes are not enabled. */
import type { AgentConfig, ConfiguredProbe, ProbeSection } from './schema.ts';

/** Returns a message per pair of conflicting probes. `placeOf` returns where a probe is enabled; '' if unknown. */
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

/** Returns a message per enabled kind of traces without its probe. `placeOf` returns where the kind is enabled. */
export function describeMissingProbes(
  sections: readonly ProbeSection[],
  { spans, probes }: Pick<AgentConfig, 'spans' | 'probes'>,
  placeOf: (kind: string) => string,
): string[] {
  return Object.keys(spans?.kinds ?? {}).flatMap((kind) => {
    const chooses = sections.find(({ name }) => name === kind)?.choosesForKind;
    if (chooses === undefined || probes.some(({ name }) => name === kind)) return [];
    const where = [placeOf(kind), `spans.kinds.${kind}`].filter((part) => part !== '').join(': ');
    return [`${where} needs probes.${kind}, which ${chooses}`];
  });
}
