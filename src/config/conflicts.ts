/** Probes that are on and cannot be on together, as lines for people: the place, both probes, and why. */
import type { ConfiguredProbe, ProbeSection } from './schema.ts';

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
