/**
 * Splits the series of a probe by CPU or by container. A slot is the number of a series or of a container. A row is the
 * number of the thing that a series describes, such as a syscall.
 */
import type { Family } from '../metrics/family.ts';
import type { MetricStore } from '../metrics/store.ts';
import {
  CONTAINER_LABELS,
  type Containers,
  FIXED_LABELS,
  hasNamesake,
  SLOTS,
  SURPLUS,
  slotLookup,
  UNKNOWN,
} from '../model/containers.ts';
import { SlotCache } from './tables/slot-cache.ts';

export interface SplitOptions {
  per_cpu: boolean;
  per_container?: boolean;
}

export interface SplitMachine {
  metrics: MetricStore;
  cpuCount: number;
  onlineCpus: readonly number[];
  host?: { containers?: Containers | undefined };
}

/** The series of a family, by row. */
export interface SeriesRows {
  /** Uses `cpu` only with `per_cpu`, and `container` (a slot) only with `per_container`. */
  record(row: number, cpu: number, amount: number, container?: number): void;
  /** Returns the slot of the series that `record` would use; negative if only `record` can find it. */
  peek(row: number, cpu: number, container?: number): number;
  /** Creates series with value 0: one per online CPU with `per_cpu`, none with `per_container`, otherwise one. */
  show(row: number): void;
  /** Forgets the slots of a row. The caller must call this when it removes the series of the row. */
  forget(row: number): void;
}

export interface Split {
  /** Labels to append: the CPU or the container. */
  labels: readonly string[];
  /** The `labels` with values that are not known in advance. */
  open: readonly string[];
  /** Returns the slot of a task's container; `UNKNOWN` (0) if the series are not by container. */
  containerOf(tid: number): number;
  /** Like `containerOf`, but does not count look-ups that find no container. */
  peekContainer(tid: number): number;
  /** Absent if the series are not by container. */
  containers?: Containers;
  /** Returns functions that add amounts to series. `valuesOf` returns the label values of a row. */
  rows(
    family: Family,
    add: (slot: number, amount: number) => void,
    valuesOf: (row: number) => readonly string[],
  ): SeriesRows;
}

export function splitOf(machine: SplitMachine, options: SplitOptions): Split {
  const { cpuCount, onlineCpus, metrics } = machine;
  const containers = options.per_container ? machine.host?.containers : undefined;
  if (containers !== undefined) return splitByContainer(metrics, containers);
  // V8 would read an imported constant from memory at each use.
  const unknown = UNKNOWN;
  const none = { open: [], containerOf: () => unknown, peekContainer: () => unknown };
  if (!options.per_cpu)
    return {
      ...{ ...none, labels: [] },
      rows: (family, add, valuesOf) => {
        const { at, peek, forget } = new SlotCache(1, (row) => family.slot(valuesOf(row)));
        return {
          peek: (row) => peek(row, 0),
          record: (row, _cpu, amount) => add(at(row, 0), amount),
          show: (row) => at(row, 0),
          forget,
        };
      },
    };
  return {
    ...{ ...none, labels: ['cpu'] },
    rows: (family, add, valuesOf) => {
      const { at, peek, forget } = new SlotCache(cpuCount, (row, cpu) =>
        family.slot([...valuesOf(row), String(cpu)]),
      );
      return {
        peek,
        record: (row, cpu, amount) => add(at(row, cpu), amount),
        show: (row) => {
          for (const cpu of onlineCpus) at(row, cpu);
        },
        forget,
      };
    },
  };
}

function splitByContainer(metrics: MetricStore, containers: Containers): Split {
  const { table } = containers;
  return {
    labels: CONTAINER_LABELS,
    open: CONTAINER_LABELS,
    containers,
    peekContainer: (tid) => table[tid] ?? UNKNOWN,
    containerOf: slotLookup(containers),
    rows: (family, add, valuesOf) => {
      const { at, peek, forget } = containerCache(metrics, containers, family, valuesOf);
      return {
        peek: (row, _cpu, container = UNKNOWN) => (container > SURPLUS ? peek(row, container) : -1),
        record: (row, _cpu, amount, container = UNKNOWN) => add(at(row, container), amount),
        show: () => {},
        forget,
      };
    },
  };
}

/**
 * Makes the cache of slots by row and container. Until a container has a name, its slots have no labels, and their
 * values are not exported.
 */
function containerCache(
  metrics: MetricStore,
  containers: Containers,
  family: Family,
  valuesOf: (row: number) => readonly string[],
): SlotCache {
  let held: { row: number; container: number; slot: number }[] = [];
  const cache = new SlotCache(SLOTS, (row, container) => {
    const labels = containers.labels(container);
    if (labels !== undefined) return family.slot([...valuesOf(row), ...labels]);
    const slot = family.hold();
    held.push({ row, container, slot });
    return slot;
  });
  metrics.onSnapshot(() => {
    if (held.length === 0) return;
    const before = held;
    held = [];
    for (const one of before) {
      const { row, container, slot } = one;
      if (cache.peek(row, container) !== slot) family.remove(slot);
      else if (containers.labels(container) === undefined) held.push(one);
      else {
        cache.forgetCell(row, container);
        family.move(slot, cache.at(row, container));
      }
    }
  });
  containers.onRelease((container) => {
    const labels = containers.labels(container);
    const isShared = hasNamesake(containers, container);
    for (let row = 0; row < cache.rows; row++) {
      const slot = cache.peek(row, container);
      if (slot < 0) continue;
      cache.forgetCell(row, container);
      const shown = family.table.labelsOf(slot);
      if (shown === undefined) {
        held = held.filter((one) => one.slot !== slot);
        family.move(slot, family.slot([...valuesOf(row), ...FIXED_LABELS[UNKNOWN]]));
      } else if (!isShared && String(shown) === String([...valuesOf(row), ...(labels ?? [])]))
        family.remove(slot);
    }
  });
  return cache;
}
