/**
 * Containers as probes see them: a small number (slot) per container, and the labels of a slot. Slots of tasks that
 * belong to no container come first. A table by thread id, filled from elsewhere, gives the slot of a task.
 */

/** The container is not known, for example because events were lost. The label is `other`. */
export const UNKNOWN = 0;
/** Known, but there are more containers than slots: label `other`. */
export const SURPLUS = 1;
export const KERNEL = 2;
/** Tasks of user space in no container and no systemd unit. */
export const SYSTEM = 3;
/** The idle task: nothing had the CPU. */
export const IDLE = 4;
export const FIRST_CONTAINER = 5;
/** Slots fit into a byte. */
export const SLOTS = 256;
export const MOST_CONTAINERS = SLOTS - FIRST_CONTAINER;

/** Labels of all metrics by container. */
export const CONTAINER_LABELS = ['namespace', 'pod', 'container'] as const;
export const OTHER_CONTAINER = 'other';

/** Values of `CONTAINER_LABELS`. */
export type ContainerLabels = readonly [namespace: string, pod: string, container: string];

export const FIXED_LABELS: readonly ContainerLabels[] = [
  ['', '', OTHER_CONTAINER],
  ['', '', OTHER_CONTAINER],
  ['', '', 'kernel'],
  ['', '', 'system'],
  ['', '', 'idle'],
];

/** How containers are recognised. */
export interface ContainersConfig {
  /** Where control groups are mounted. */
  cgroupDir: string;
  /** The kubelet's directory of logs, whose entries name pods. */
  podLogs: string;
  /** Containers that have a slot at a time. */
  max: number;
  /** How long a container keeps its slot after its end. */
  keepMs: number;
}

/** What the files of a container's control group say, in seconds since it was made; undefined if a file is missing. */
export interface ContainerUsage {
  throttledSeconds?: number;
  pressureSeconds?: number;
}

export interface Containers {
  /** Slot by thread id, for the hot path. */
  readonly table: Uint8Array;
  /** Counts a look-up in the table that gave `UNKNOWN` or `SURPLUS`. */
  miss(slot: number): void;
  /** Labels of a slot; undefined while the name of a new container is being looked up, or if the slot is not in use. */
  labels(slot: number): ContainerLabels | undefined;
  /** Slots in use, in ascending order. */
  slots(): readonly number[];
  /** Reads the files of a container's control group; undefined if it has none (any more). */
  usage(slot: number): ContainerUsage | undefined;
  /** Calls back before a slot is given to another container. */
  onRelease(callback: (slot: number) => void): void;
  /** Look-ups so far that gave no container. */
  missed(): { unknown: number; surplus: number };
}

/** What the kernel's events report to the table. */
export interface ContainerEvents {
  /** A new task is in the container of the task that made it. */
  forked(tid: number, parent: number): void;
  /** A new task was made in another control group (CLONE_INTO_CGROUP). */
  clonedInto(tid: number): void;
  /** A task, perhaps with all threads of its process, was moved to a control group of a hierarchy. */
  attached(tid: number, hierarchy: number, path: string): void;
  /** Events were lost: the table may be wrong until the next scan. */
  lost(): void;
  /** Scans if needed, looks up names, and drops containers that have ended. Called about once a second. */
  refresh(): void;
}
