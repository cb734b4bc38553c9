/**
 * Measures how long tasks of each container wait for a CPU, and which container uses the CPU meanwhile. Handlers only
 * write to arrays by slot, the number of a container. Each snapshot updates the series. A pair is a waiting container
 * (victim) and the container that used the CPU (culprit).
 */
import type { ValueFamily } from '../metrics/value.ts';
import {
  CONTAINER_LABELS,
  type ContainerLabels,
  type Containers,
  FIRST_CONTAINER,
  hasNamesake,
  KERNEL,
  OTHER_CONTAINER,
  SLOTS,
  SURPLUS,
  SYSTEM,
  UNKNOWN,
} from '../model/containers.ts';
import type { Machine } from './families.ts';
import {
  bySlotOf,
  type ContainerWaits,
  makeContainerWaits,
  PAIRS,
  pairOf,
  slotOf,
} from './tables/container-waits.ts';
import { LargestPairs } from './tables/largest-pairs.ts';
import type { WaitsByContainer } from './tables/runnable-tasks.ts';

const WAIT = {
  name: 'ftrace_container_runqueue_wait_seconds_total',
  help: 'Time that tasks of a container waited for a CPU.',
  labels: [...CONTAINER_LABELS],
};
const PREEMPTIONS = {
  name: 'ftrace_container_preemptions_total',
  help: 'Times a task of a container was preempted, by what ran on the CPU next: "self" (another task of the container, or nothing, because the container had used up its CPU quota), "other" (another container or unit), "kernel" (a kernel thread) or "system" (any other task).',
  labels: [...CONTAINER_LABELS, 'by'],
};
const INTERFERENCE = {
  name: 'ftrace_container_interference_seconds_total',
  help: 'Time that tasks of a container waited for a CPU while that CPU ran a task of the container in the by_* labels. by_container="idle": the CPU ran no task.',
  labels: [...CONTAINER_LABELS, ...CONTAINER_LABELS.map((label) => `by_${label}`)],
};
export const SCHED_CONTAINER_METRICS = [WAIT, PREEMPTIONS, INTERFERENCE];

const BY = ['self', 'other', 'system', 'kernel'] as const;
const BY_OTHER: ContainerLabels = ['', '', OTHER_CONTAINER];

/** `IDLE` counts as `self`, because the preempted container had used up its CPU quota. */
function categoryOf(bySlot: number): number {
  if (bySlot === KERNEL) return 3;
  if (bySlot === SYSTEM) return 2;
  return bySlot >= FIRST_CONTAINER || bySlot < KERNEL ? 1 : 0;
}

const CATEGORIES = Uint8Array.from({ length: SLOTS }, (_, bySlot) => categoryOf(bySlot));

export class SchedContainers implements WaitsByContainer {
  readonly waits: ContainerWaits;
  readonly slotOf: (tid: number) => number;
  readonly preempted: (slot: number, bySlot: number) => void;
  readonly #containers: Containers;
  readonly #largest: LargestPairs;
  readonly #wait: ValueFamily;
  readonly #taken: ValueFamily;
  readonly #interference: ValueFamily;
  readonly #preemptions = new Float64Array(SLOTS * BY.length);
  readonly #writtenPairs = new Float64Array(PAIRS);
  readonly #writtenPreemptions = new Float64Array(SLOTS * BY.length);

  constructor(
    { metrics, cpuCount }: Pick<Machine, 'metrics' | 'cpuCount'>,
    containers: Containers,
    options: { interference_pairs: number },
  ) {
    this.waits = makeContainerWaits(cpuCount);
    const { table, miss } = containers;
    const surplus = SURPLUS;
    this.slotOf = (tid) => {
      const slot = table[tid];
      if (slot <= surplus) miss(slot);
      return slot;
    };
    const preemptions = this.#preemptions;
    const categories = CATEGORIES;
    this.preempted = (slot, bySlot) => {
      preemptions[(slot << 2) | (slot === bySlot ? 0 : categories[bySlot])]++;
    };
    this.#containers = containers;
    this.#largest = new LargestPairs(options.interference_pairs);
    this.#wait = metrics.counter({ ...WAIT, unit: 'seconds', divisor: 1e9 });
    this.#taken = metrics.counter(PREEMPTIONS);
    this.#interference = metrics.counter({ ...INTERFERENCE, unit: 'seconds', divisor: 1e9 });
    metrics.onSnapshot(() => this.#flush());
    containers.onRelease((slot) => this.#release(slot));
  }

  #flush(): void {
    this.waits.settle();
    const slots = this.#containers.slots();
    const grown: number[] = [];
    this.#largest.begin();
    for (const victim of slots) {
      for (const culprit of slots) {
        const pair = pairOf(victim, culprit);
        const by = this.waits.pairs[pair] - this.#writtenPairs[pair];
        if (by <= 0) continue;
        this.#largest.grew(pair, by);
        grown.push(pair);
      }
    }
    this.#largest.settle(grown, (pair) => this.#dropPair(pair));
    for (const victim of slots) this.#write(victim, slots);
  }

  /** Updates the series of a container. A pair is skipped until the names of both containers are known. */
  #write(victim: number, culprits: readonly number[]): void {
    const labels = this.#containers.labels(victim);
    if (labels === undefined) return;
    let ns = 0;
    for (const culprit of culprits) {
      const pair = pairOf(victim, culprit);
      const grown = this.waits.pairs[pair] - this.#writtenPairs[pair];
      const by = grown > 0 ? this.#containers.labels(culprit) : undefined;
      if (by === undefined) continue;
      const series = [...labels, ...(this.#largest.has(pair) ? by : BY_OTHER)];
      this.#interference.add(this.#interference.slot(series), grown);
      this.#writtenPairs[pair] = this.waits.pairs[pair];
      ns += grown;
    }
    if (ns > 0) this.#wait.add(this.#wait.slot(labels), ns);
    for (const [by, name] of BY.entries()) {
      const at = victim * BY.length + by;
      const grown = this.#preemptions[at] - this.#writtenPreemptions[at];
      if (grown > 0) this.#taken.add(this.#taken.slot([...labels, name]), grown);
      this.#writtenPreemptions[at] = this.#preemptions[at];
    }
  }

  /** Removes the container's series, unless another slot has the same labels, as after a restart of the container. */
  #release(slot: number): void {
    this.#flush();
    const labels = this.#containers.labels(slot);
    const others = this.#containers.slots().filter((other) => other !== slot);
    const isShared = hasNamesake(this.#containers, slot);
    this.#forgetPair(slot, slot, slot, isShared);
    for (const other of others) {
      this.#forgetPair(slot, other, slot, isShared);
      this.#forgetPair(other, slot, slot, isShared);
    }
    for (const [by, name] of BY.entries()) {
      this.#preemptions[slot * BY.length + by] = 0;
      this.#writtenPreemptions[slot * BY.length + by] = 0;
      if (!isShared) drop(this.#taken, labels && [...labels, name]);
    }
    if (isShared) return;
    drop(this.#interference, labels && [...labels, ...BY_OTHER]);
    drop(this.#wait, labels);
  }

  /** Removes a pair of container `slot`. Its unexported waits go to the pair in which `UNKNOWN` replaces `slot`. */
  #forgetPair(victim: number, culprit: number, slot: number, isShared: boolean): void {
    const pair = pairOf(victim, culprit);
    if (!isShared && this.#largest.has(pair)) this.#dropPair(pair);
    const into = pairOf(victim === slot ? UNKNOWN : victim, culprit === slot ? UNKNOWN : culprit);
    this.waits.pairs[into] += this.waits.pairs[pair] - this.#writtenPairs[pair];
    this.waits.pairs[pair] = 0;
    this.#writtenPairs[pair] = 0;
    this.#largest.forget(pair);
  }

  #dropPair(pair: number): void {
    const labels = this.#containers.labels(slotOf(pair));
    const by = this.#containers.labels(bySlotOf(pair));
    drop(this.#interference, labels && by && [...labels, ...by]);
  }
}

function drop(family: ValueFamily, labels: readonly string[] | undefined): void {
  if (labels !== undefined) family.remove(family.slot(labels));
}
