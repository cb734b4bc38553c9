/** What all formats agree on: which families a scrape shows under which names, and with which labels. */
import type { FamilySnapshot, MetricSnapshot, MetricSpec } from '../model/metric.ts';
import type { Exemplars } from './exemplars.ts';

export interface RendererOptions {
  /** On every series; a family's own label of the same name becomes `exported_…`. */
  constantLabels?: Readonly<Record<string, string>>;
  /** What buckets point at, in formats that have a place for it. */
  exemplars?: Exemplars;
}

/**
 * Families of all snapshots by name, in the order they first come in. Throws where two stores disagree about a
 * family's kind.
 */
export function byName(snapshots: readonly MetricSnapshot[]): Iterable<FamilySnapshot[]> {
  const merged = new Map<string, FamilySnapshot[]>();
  for (const snapshot of snapshots) {
    for (const family of snapshot.families) {
      const { name, kind } = family.spec;
      const same = merged.get(name);
      if (same === undefined) merged.set(name, [family]);
      else if (same[0].spec.kind === kind) same.push(family);
      else throw new Error(`${name}: two stores disagree about its kind`);
    }
  }
  return merged.values();
}

/** How the formats call a kind. */
export function typeOf(kind: MetricSpec['kind']): 'counter' | 'gauge' | 'histogram' {
  return kind === 'max_gauge' ? 'gauge' : kind;
}

/** A family's name in OpenMetrics, where `_total` is the sample's alone. */
export function withoutTotal(name: string, kind: MetricSpec['kind']): string {
  return kind === 'counter' && name.endsWith('_total') ? name.slice(0, -'_total'.length) : name;
}

/** The unit to tell: '' unless the name ends in it, as OpenMetrics and Prometheus demand. */
export function unitOf(name: string, kind: MetricSpec['kind'], unit: string): string {
  return unit !== '' && withoutTotal(name, kind).endsWith(`_${unit}`) ? unit : '';
}

/**
 * Labels of a series, constant ones first. Where a family has a label of the same name, that becomes `exported_…`,
 * as Prometheus itself would rename it; where both say the same, one is enough.
 */
export function labelPairs(
  constant: Readonly<Record<string, string>>,
  names: readonly string[],
  values: readonly string[],
): [string, string][] {
  const pairs = Object.entries(constant);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    if (!Object.hasOwn(constant, name)) pairs.push([name, values[i]]);
    else if (constant[name] !== values[i]) pairs.push([`exported_${name}`, values[i]]);
  }
  return pairs;
}
