/**
 * Finds the container of every task. A scan of the control groups fills the table, and events update it. After lost
 * events, affected tasks count as tasks of an unknown container until the next scan.
 */
import { join } from 'node:path';
import {
  type ContainerEvents,
  type Containers,
  type ContainersConfig,
  FIXED_LABELS,
  KERNEL,
  type RecordedPart,
  SYSTEM,
  UNKNOWN,
} from '../model/containers.ts';
import {
  type CgroupHierarchy,
  findHierarchy,
  groupExists,
  groupsOf,
  readOr,
  threadsIn,
  usageOf,
} from './cgroups.ts';
import { labelsOf, namesIn, podLogsProblem } from './container-names.ts';
import { ContainerSlots } from './container-slots.ts';
import { pathIn, taskGroupOf } from './task-groups.ts';
import { TaskSlots } from './task-slots.ts';

export interface ContainerOptions extends ContainersConfig {
  procDir?: string;
  /** Monotonic time in milliseconds. */
  nowMs?: () => number;
}

export interface ContainerTable extends Containers, ContainerEvents {
  /** Sets whether /proc has the trace's thread ids. Before the first call with true, all containers are unknown. */
  procIsHosts(isHosts: boolean): void;
  /** Scans the control groups, and returns the whole table in parts for a recording. */
  parts(): RecordedPart[];
  /** Returns why containers cannot be recognised; '' if they can. */
  problem(): string;
  /** Returns messages about missing data, such as the names of pods, if containers are recognised. */
  notes(): string[];
}

/** Minimum time between scans. A scan reads one file per group, so frequent scans would cost too much. */
const SCAN_EVERY_MS = 2000;
/** Minimum time between scans if tasks are unknown but no events were lost. */
const UNKNOWN_SCAN_EVERY_MS = 10_000;
const CHECK_EVERY_MS = 10_000;
/** Maximum number of files that event handlers read between two calls of `refresh`. */
const MOST_READS = 256;
const INIT = 1;
const KTHREADD = 2;

export function openContainerTable(options: ContainerOptions): ContainerTable {
  const { procDir = '/proc', nowMs = () => performance.now() } = options;
  const tasks = new TaskSlots();
  const slots = new ContainerSlots(options.max, tasks, nowMs);
  let hierarchy: CgroupHierarchy | undefined;
  let problem = 'it is not known yet whether /proc is the host’s';
  let isStale = false;
  let scannedMs = Number.NEGATIVE_INFINITY;
  let checkedMs = 0;
  let [reads, unknownAtScan] = [0, 0];

  const procText = (tid: number, file: string) => readOr(join(procDir, String(tid), file), '');

  const scan = (all: CgroupHierarchy): void => {
    tasks.clear();
    fill(tasks, slots, all);
    for (const tid of kernelThreads(all, procText)) tasks.set(tid, KERNEL);
    isStale = false;
    scannedMs = nowMs();
    unknownAtScan = tasks.missed().unknown;
  };

  const nameAll = (all: CgroupHierarchy): void => {
    for (const [slot, entry] of slots.entries()) {
      entry.labels ??= labelsOf(entry, { hierarchy: all, podLogs: options.podLogs, procDir, nowMs: nowMs() });
      // A pod's pause container only keeps the pod's namespaces alive. Count its few tasks as tasks of the system.
      if (entry.labels?.[2] === '') slots.fold(slot, SYSTEM);
    }
  };

  /** Returns whether the handler of an event may read another file. If not, requests a scan. */
  const mayRead = (): boolean => {
    if (reads++ < MOST_READS) return true;
    isStale = true;
    return false;
  };

  return {
    table: tasks.table,
    miss: tasks.miss,
    labels: (slot) => FIXED_LABELS[slot] ?? slots.labels(slot),
    ids: (slot) => slots.ids(slot),
    slots: () => (hierarchy === undefined ? [] : slots.all()),
    usage: (slot) => {
      const path = slots.pathOf(slot);
      return path === undefined || hierarchy === undefined ? undefined : usageOf(hierarchy, path);
    },
    onRelease: (callback) => slots.onRelease(callback),
    missed: tasks.missed,
    forked: (tid, parent) => tasks.set(tid, tasks.peek(parent)),
    clonedInto: (tid) => {
      const path =
        hierarchy !== undefined && mayRead() ? pathIn(procText(tid, 'cgroup'), hierarchy.id) : undefined;
      tasks.set(tid, path === undefined ? UNKNOWN : slots.of(taskGroupOf(path)));
    },
    attached: (tid, id, path) => {
      if (hierarchy === undefined || id !== hierarchy.id) return;
      const slot = slots.of(taskGroupOf(path));
      tasks.set(tid, slot);
      // The event contains only the main thread of the process. Read the ids of the other threads from the group.
      if (mayRead()) for (const thread of threadsIn(hierarchy, path)) tasks.set(thread, slot);
    },
    lost: () => {
      tasks.clear();
      isStale = true;
    },
    refresh: () => {
      reads = 0;
      if (hierarchy === undefined) return;
      const isUnknown = tasks.missed().unknown > unknownAtScan;
      const every = isStale ? SCAN_EVERY_MS : isUnknown ? UNKNOWN_SCAN_EVERY_MS : Number.POSITIVE_INFINITY;
      if (nowMs() - scannedMs >= every) scan(hierarchy);
      nameAll(hierarchy);
      if (nowMs() - checkedMs < CHECK_EVERY_MS) return;
      checkedMs = nowMs();
      const all = hierarchy;
      slots.dropEnded((path) => groupExists(all, path), options.keepMs);
    },
    procIsHosts: (isHosts) => {
      const all = isHosts
        ? findHierarchy(options.cgroupDir, readOr(join(procDir, 'self/cgroup'), ''))
        : 'the agent runs in its own pid namespace: run it in the host’s (hostPID: true in a pod, --pid=host in a container)';
      problem = typeof all === 'string' ? all : '';
      if (typeof all === 'string') return;
      scan(all);
      if (tasks.peek(INIT) === UNKNOWN) {
        problem = `${options.cgroupDir} shows only the cgroups of the agent: mount the cgroups of the host there, read-only`;
        tasks.clear();
      } else hierarchy = all;
      // Request another scan, because tasks can be created between this scan and the start of the events.
      isStale = true;
    },
    parts: () =>
      hierarchy === undefined ? [] : partsOf(hierarchy, { scan, nameAll, tasks, slots, procDir }),
    problem: () => problem,
    notes: () => podNotes(slots, options.podLogs),
  };
}

function podNotes(slots: ContainerSlots, podLogs: string): string[] {
  const pods = slots.hasPods() ? podLogsProblem(podLogs) : '';
  return pods === '' ? [] : [`pods are shown without their names: ${pods}`];
}

interface Scanned {
  scan(all: CgroupHierarchy): void;
  nameAll(all: CgroupHierarchy): void;
  tasks: TaskSlots;
  slots: ContainerSlots;
  procDir: string;
}

function partsOf(all: CgroupHierarchy, { scan, nameAll, tasks, slots, procDir }: Scanned): RecordedPart[] {
  scan(all);
  nameAll(all);
  const tasksOf = ([slot, tids]: [number, number[]]): RecordedPart => {
    if (slot === KERNEL) return { tids };
    return { path: slots.pathOf(slot) ?? '', labels: slots.labels(slot), tids };
  };
  const processes = processesIn(procDir).map((process) => ({ process }));
  return [{ hierarchy: all.id }, ...processes, ...[...tasks.bySlot()].map(tasksOf)];
}

/** Returns the thread ids of each process with several threads. The main thread comes first. */
function processesIn(procDir: string): number[][] {
  return namesIn(procDir)
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => [pid, ...namesIn(join(procDir, pid, 'task')).filter((tid) => tid !== pid)].map(Number))
    .filter((tids) => tids.length > 1);
}

/** Sets the slot of every thread to the slot of its control group. */
function fill(tasks: TaskSlots, slots: ContainerSlots, all: CgroupHierarchy): void {
  for (const path of groupsOf(all)) {
    const tids = threadsIn(all, path);
    if (tids.length === 0) continue;
    const slot = slots.of(taskGroupOf(path));
    for (const tid of tids) tasks.set(tid, slot);
  }
}

function kernelThreads(all: CgroupHierarchy, procText: (tid: number, file: string) => string): number[] {
  const children = procText(KTHREADD, `task/${KTHREADD}/children`).trim();
  // If /proc hides kthreadd, use the root group. With cgroup v2 and systemd, it contains only kernel threads.
  const isAlone = children === '' && all.version === 2 && groupExists(all, '/init.scope');
  return [KTHREADD, ...(isAlone ? threadsIn(all, '') : children.split(' ').map(Number))];
}
