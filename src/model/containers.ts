/**
 * How probes assign tasks to containers. Each container has a small number (*slot*), and each slot has labels. Some
 * slots are reserved for tasks outside of containers.
 */

/** The task's container is unknown, for example because events were lost. */
export const UNKNOWN = 0;
/** The container is known, but all slots are in use. */
export const SURPLUS = 1;
export const KERNEL = 2;
/** User space tasks in no container and no systemd unit. */
export const SYSTEM = 3;
export const IDLE = 4;
export const FIRST_CONTAINER = 5;
/** Number of slots: a slot fits into one byte. */
export const SLOTS = 256;
export const MOST_CONTAINERS = SLOTS - FIRST_CONTAINER;

/** Labels of all metrics that are split by container. */
export const CONTAINER_LABELS = ['namespace', 'pod', 'container'] as const;
export const OTHER_CONTAINER = 'other';

export type ContainerLabels = readonly [namespace: string, pod: string, container: string];

export const FIXED_LABELS: readonly ContainerLabels[] = [
  ['', '', OTHER_CONTAINER],
  ['', '', OTHER_CONTAINER],
  ['', '', 'kernel'],
  ['', '', 'system'],
  ['', '', 'idle'],
];

export interface ContainersConfig {
  /** Where the cgroup file system is mounted. */
  cgroupDir: string;
  /** The kubelet's log directory, whose entries contain the names of pods. */
  podLogs: string;
  /** Maximum number of containers that have a slot at the same time. */
  max: number;
  /** How long an ended container keeps its slot. */
  keepMs: number;
}

/** Totals from the files of a container's control group. A missing file leaves its value undefined. */
export interface ContainerUsage {
  throttledSeconds?: number;
  pressureSeconds?: number;
}

export interface Containers {
  /** Slot of each thread, indexed by thread id. */
  readonly table: Uint8Array;
  /** Counts a look-up that returned `UNKNOWN` or `SURPLUS`. */
  miss(slot: number): void;
  /** Labels of a slot; undefined if the slot is unused or the container's name is not known yet. */
  labels(slot: number): ContainerLabels | undefined;
  /** Undefined if the slot belongs to no container. */
  ids(slot: number): { containerId: string; podUid: string } | undefined;
  /** Slots in use, in ascending order. */
  slots(): readonly number[];
  /** Reads the files of a container's control group; undefined if it does not exist. */
  usage(slot: number): ContainerUsage | undefined;
  /** Registers a callback that runs before a slot gets another container. Returns a function that unregisters it. */
  onRelease(callback: (slot: number) => void): () => void;
  /** Number of look-ups that returned `UNKNOWN` or `SURPLUS`. */
  missed(): { unknown: number; surplus: number };
}

/** A part of the table in a recording: the threads of one control group, or the threads of one process. */
export interface RecordedPart {
  /** Number of the cgroup hierarchy. */
  hierarchy?: number;
  /** Control group of a container or systemd unit. '': the threads are in neither. Absent: they are kernel threads. */
  path?: string;
  labels?: ContainerLabels | undefined;
  tids?: readonly number[];
  /** Threads of one process; the main thread comes first. */
  process?: readonly number[];
}

/** Returns a function that looks up the slot of a task, and calls `miss` if no container is found. */
export function slotLookup({ table, miss }: Pick<Containers, 'table' | 'miss'>): (tid: number) => number {
  return (tid) => {
    const slot = table[tid] ?? UNKNOWN;
    if (slot <= SURPLUS) miss(slot);
    return slot;
  };
}

/** Whether another slot has the same labels, for example after a restart of the container. */
export function hasNamesake(containers: Pick<Containers, 'slots' | 'labels'>, slot: number): boolean {
  const labels = String(containers.labels(slot));
  return containers.slots().some((other) => other !== slot && String(containers.labels(other)) === labels);
}

/** Receives the kernel's events that change the table. */
export interface ContainerEvents {
  /** A task was created in the container of its parent. */
  forked(tid: number, parent: number, isThread?: boolean): void;
  /** A task was created directly in another control group (CLONE_INTO_CGROUP). */
  clonedInto(tid: number): void;
  /** A task, and possibly its whole process, was moved to the control group `path` of this hierarchy. */
  attached(tid: number, hierarchy: number, path: string): void;
  /** Events were lost: the table may be wrong until the next scan. */
  lost(): void;
  /** Scans the control groups if needed, and removes ended containers. Called about once a second. */
  refresh(): void;
}
