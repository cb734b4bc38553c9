import {
  type FamilySnapshot,
  firstEpoch,
  type KnownSeries,
  type MetricSnapshot,
  type MetricSpec,
} from '../model/metric.ts';
import type { Family } from './family.ts';
import { HistogramFamily } from './histogram.ts';
import { MaxGaugeFamily } from './max-gauge.ts';
import { ValueFamily } from './value.ts';

export type FamilyOptions = Pick<MetricSpec, 'name' | 'help'> &
  Partial<Omit<MetricSpec, 'name' | 'help' | 'kind'>> & { windowMs?: number };

const SERIES = 'ftrace_exporter_series';
const OVERFLOW = 'ftrace_exporter_series_overflow_total';

/** All metric families of one thread. */
export class MetricStore {
  readonly #families = new Map<string, Family>();
  readonly #maxGauges: MaxGaugeFamily[] = [];
  readonly #beforeSnapshot: (() => void)[] = [];
  readonly #series: ValueFamily | undefined;
  readonly #overflow: ValueFamily | undefined;
  readonly #parts = new Set<MetricStore>();
  readonly #firstEpoch: number;
  #partsMade = 0;

  /** `countsSeries`: also export the number of series. Only one store per process may do this. */
  constructor(options: { countsSeries: boolean; firstEpoch?: number } = { countsSeries: true }) {
    this.#firstEpoch = options.firstEpoch ?? 0;
    if (!options.countsSeries) return;
    this.#series = this.gauge({
      name: SERIES,
      help: 'Current number of series of each metric that has labels.',
      labels: ['metric'],
    });
    this.#overflow = this.counter({
      name: OVERFLOW,
      help: 'Times the agent replaced label values by "other", because the metric had reached its limit max_series.',
      labels: ['metric'],
    });
  }

  /** Returns a store whose families are exported together with those of this store, until `drop`. */
  part(): MetricStore {
    const part = new MetricStore({ countsSeries: false, firstEpoch: firstEpoch(++this.#partsMade) });
    this.#parts.add(part);
    return part;
  }

  /** Stops the export of a store from `part()`. */
  drop(part: MetricStore): void {
    this.#parts.delete(part);
    const names = new Set(this.#stores().flatMap((store) => [...store.#families.keys()]));
    for (const name of part.#families.keys()) {
      if (names.has(name)) continue;
      this.#series?.release('metric', name);
      this.#overflow?.release('metric', name);
    }
  }

  /** Number of callbacks of `onSnapshot`, for `forgetCallbacks`. */
  callbacks(): number {
    return this.#beforeSnapshot.length;
  }

  /** Runs the oldest `count` callbacks of `onSnapshot` one last time, and removes them. */
  forgetCallbacks(count: number): void {
    for (const callback of this.#beforeSnapshot.splice(0, count)) callback();
  }

  /** Declares a counter, unless it exists. Exported values are recorded values divided by `divisor`. */
  counter(options: FamilyOptions): ValueFamily {
    return this.#declare(options, 'counter', (spec) => new ValueFamily(spec), ValueFamily);
  }

  gauge(options: FamilyOptions): ValueFamily {
    return this.#declare(options, 'gauge', (spec) => new ValueFamily(spec), ValueFamily);
  }

  /** By default, recorded values are nanoseconds, exported as seconds. `bounds` are in the exported unit. */
  histogram(options: FamilyOptions & { bounds: readonly number[] }): HistogramFamily {
    return this.#declare(
      { unit: 'seconds', divisor: 1e9, ...options },
      'histogram',
      (spec) => new HistogramFamily(spec),
      HistogramFamily,
    );
  }

  /** A gauge of the largest value within the last `windowMs`. */
  maxGauge(options: FamilyOptions & { windowMs: number }): MaxGaugeFamily {
    const make = (spec: MetricSpec) => {
      const family = new MaxGaugeFamily(spec, options.windowMs);
      this.#maxGauges.push(family);
      return family;
    };
    return this.#declare(options, 'max_gauge', make, MaxGaugeFamily);
  }

  /** Advances the windows of all max gauges. `nowMs`: monotonic time. */
  rotate(nowMs: number): void {
    for (const store of this.#stores()) for (const family of store.#maxGauges) family.rotate(nowMs);
  }

  /** Registers a callback that runs before each snapshot. */
  onSnapshot(callback: () => void): void {
    this.#beforeSnapshot.push(callback);
  }

  /** Copies all families, without the label values of the series in `held`. */
  snapshot(held: KnownSeries = {}): MetricSnapshot {
    for (const store of this.#stores()) for (const callback of store.#beforeSnapshot) callback();
    this.#countSeries();
    const families: FamilySnapshot[] = [];
    for (const [name, family] of this.#allFamilies()) {
      const has = held[name];
      families.push(family.snapshot(has !== undefined && has.epoch === family.table.epoch ? has.count : 0));
    }
    return { families };
  }

  #stores(): MetricStore[] {
    return [this, ...this.#parts];
  }

  #allFamilies(): [string, Family][] {
    return this.#stores().flatMap((store) => [...store.#families]);
  }

  #countSeries(): void {
    const [series, overflow] = [this.#series, this.#overflow];
    if (series === undefined || overflow === undefined) return;
    for (const [name, { table }] of this.#allFamilies()) {
      if (table.spec.labels.length === 0 || name === SERIES || name === OVERFLOW) continue;
      series.set(series.slot([name]), table.size);
      if (table.spec.open.length === 0) continue;
      overflow.set(overflow.slot([name]), table.overflows);
    }
  }

  #declare<F extends Family>(
    options: FamilyOptions,
    kind: MetricSpec['kind'],
    make: (spec: MetricSpec) => F,
    type: abstract new (...args: never[]) => F,
  ): F {
    const existing = this.#families.get(options.name);
    if (existing !== undefined) {
      if (existing instanceof type && existing.table.spec.kind === kind) return existing;
      throw new Error(`${options.name} is declared twice, with different kinds`);
    }
    const { windowMs: _, ...rest } = options;
    const spec: MetricSpec = {
      unit: '',
      labels: [],
      open: [],
      maxSeries: 500,
      divisor: 1,
      bounds: [],
      ...rest,
      kind,
    };
    const family = make(spec);
    family.table.epoch = this.#firstEpoch;
    this.#families.set(options.name, family);
    return family;
  }
}
