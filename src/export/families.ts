/** Determines the families and series of a scrape, and their names and labels, for all formats. */
import type { FamilySnapshot, MetricSnapshot, MetricSpec } from '../model/metric.ts';
import type { Exemplars } from './exemplars.ts';

export interface RendererOptions {
  /** Labels to add to every series. A family's own label with the same name is renamed to `exported_…`. */
  constantLabels?: Readonly<Record<string, string>>;
  /** Exemplars of buckets, for formats that support them. */
  exemplars?: Pick<Exemplars, 'ofFamily'> | undefined;
}

/** The part of a family that comes from one metric store. Several stores can contain the same family. */
export interface FamilyPart {
  family: FamilySnapshot;
  /** Series that an earlier store also contains. Renderers skip them. Undefined if only one store has the family. */
  repeated: ReadonlySet<number> | undefined;
}

/** Groups the families of all snapshots by name. Throws if two stores declare different kinds for a name. */
export function byName(snapshots: readonly MetricSnapshot[]): FamilyPart[][] {
  const merged = new Map<string, FamilySnapshot[]>();
  for (const snapshot of snapshots) {
    for (const family of snapshot.families) {
      const { name, kind } = family.spec;
      const same = merged.get(name);
      if (same === undefined) merged.set(name, [family]);
      else if (same[0].spec.kind === kind) same.push(family);
      else throw new Error(`${name}: two stores declare different kinds`);
    }
  }
  return Array.from(merged.values(), partsOf);
}

function partsOf(families: readonly FamilySnapshot[]): FamilyPart[] {
  if (families.length === 1) return [{ family: families[0], repeated: undefined }];
  const written = new Set<string>();
  return families.map((family) => {
    const { spec, labelValues, seriesCount, histogram } = family;
    const values = histogram?.counts ?? family.values;
    const width = spec.labels.length;
    const repeated = new Set<number>();
    for (let s = 0; s < seriesCount; s++) {
      // A series without a value does not hide the same series of a later store.
      if (Number.isNaN(values[s])) continue;
      const key = JSON.stringify([spec.labels, labelValues.slice(s * width, (s + 1) * width)]);
      if (written.has(key)) repeated.add(s);
      written.add(key);
    }
    return { family, repeated };
  });
}

/** Returns the type that all formats use for a kind. No format has `max_gauge`, so a `max_gauge` becomes a gauge. */
export function typeOf(kind: MetricSpec['kind']): 'counter' | 'gauge' | 'histogram' {
  return kind === 'max_gauge' ? 'gauge' : kind;
}

/** Returns a family's name in OpenMetrics, where only the name of a counter's sample ends in `_total`. */
export function withoutTotal(name: string, kind: MetricSpec['kind']): string {
  return kind === 'counter' && name.endsWith('_total') ? name.slice(0, -'_total'.length) : name;
}

/** Returns the unit, or '' unless it is the suffix of the name, as OpenMetrics and Prometheus require. */
export function unitOf(name: string, kind: MetricSpec['kind'], unit: string): string {
  return unit !== '' && withoutTotal(name, kind).endsWith(`_${unit}`) ? unit : '';
}

/** Returns the labels of a series. As in Prometheus, a label with a constant label's name becomes `exported_…`. */
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
