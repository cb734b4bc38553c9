/** Assigns slots to containers and systemd units. A slot is a small number that stands for a container in tables. */
import {
  type ContainerLabels,
  FIRST_CONTAINER,
  IDLE,
  KERNEL,
  SURPLUS,
  SYSTEM,
  UNKNOWN,
} from '../model/containers.ts';
import { plainLabels, type TaskGroup } from './task-groups.ts';
import type { TaskSlots } from './task-slots.ts';

export interface SlotEntry {
  group: TaskGroup;
  labels: ContainerLabels | undefined;
  sinceMs: number;
  /** When the control group was first found missing, in milliseconds; 0 while the group exists. */
  goneMs: number;
}

export class ContainerSlots {
  readonly #max: number;
  readonly #tasks: TaskSlots;
  readonly #nowMs: () => number;
  readonly #entries = new Map<number, SlotEntry>();
  readonly #byKey = new Map<string, number>();
  /** Groups whose tasks `fold` has moved: paths by container id, as long as the groups exist. */
  readonly #folded = new Map<string, string>();
  readonly #callbacks = new Set<(slot: number) => void>();

  constructor(max: number, tasks: TaskSlots, nowMs: () => number) {
    this.#max = max;
    this.#tasks = tasks;
    this.#nowMs = nowMs;
  }

  /** Returns a slot. A new group gets a free slot, else the slot of the container that ended first, else `SURPLUS`. */
  of(group: TaskGroup | undefined): number {
    if (group === undefined) return SYSTEM;
    const existing = this.#byKey.get(group.key);
    if (existing !== undefined) {
      const entry = this.#entries.get(existing);
      if (entry !== undefined) entry.goneMs = 0;
      return existing;
    }
    if (this.#entries.size >= this.#max && !this.#dropLongestGone()) return SURPLUS;
    let slot = FIRST_CONTAINER;
    while (this.#entries.has(slot)) slot++;
    this.#byKey.set(group.key, slot);
    this.#entries.set(slot, { group, labels: undefined, sinceMs: this.#nowMs(), goneMs: 0 });
    return slot;
  }

  entries(): [number, SlotEntry][] {
    return [...this.#entries];
  }

  /** Returns the fixed slots, then the slots of containers in ascending order. */
  all(): number[] {
    const own = [...this.#entries.keys()].sort((a, b) => a - b);
    return [UNKNOWN, SURPLUS, KERNEL, SYSTEM, IDLE, ...own];
  }

  labels(slot: number): ContainerLabels | undefined {
    return this.#entries.get(slot)?.labels;
  }

  ids(slot: number): { containerId: string; podUid: string } | undefined {
    const group = this.#entries.get(slot)?.group;
    return group?.kind === 'container' ? { containerId: group.key, podUid: group.podUid } : undefined;
  }

  name(slot: number, labels: ContainerLabels): void {
    const entry = this.#entries.get(slot);
    if (entry !== undefined) entry.labels = labels;
  }

  /** Returns labels from the control group, without Kubernetes names. Undefined in a pod unless `evenInPod`. */
  plainLabels(slot: number, evenInPod: boolean): ContainerLabels | undefined {
    const group = this.#entries.get(slot)?.group;
    return group === undefined || (group.podUid !== '' && !evenInPod) ? undefined : plainLabels(group);
  }

  /** Returns the path of the slot's control group, or undefined if the group no longer exists. */
  pathOf(slot: number): string | undefined {
    const entry = this.#entries.get(slot);
    return entry === undefined || entry.goneMs !== 0 ? undefined : entry.group.path;
  }

  hasPods(): boolean {
    return [...this.#entries.values()].some(({ group }) => group.podUid !== '');
  }

  onRelease(callback: (slot: number) => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  /** Moves the tasks of the container in `slot` to the slot `into`, and frees `slot`. */
  fold(slot: number, into: number): void {
    const group = this.#entries.get(slot)?.group;
    if (group === undefined) return;
    this.#release(slot, into);
    this.#byKey.set(group.key, into);
    this.#folded.set(group.key, group.path);
  }

  /** Frees the slot of each container whose control group has been missing for at least `keepMs` milliseconds. */
  dropEnded(exists: (path: string) => boolean, keepMs: number): void {
    for (const [slot, entry] of this.#entries) {
      if (exists(entry.group.path)) entry.goneMs = 0;
      else if (entry.goneMs === 0) entry.goneMs = this.#nowMs();
      if (entry.goneMs !== 0 && this.#nowMs() - entry.goneMs >= keepMs) this.#release(slot, UNKNOWN);
    }
    for (const [key, path] of this.#folded) {
      if (exists(path)) continue;
      this.#folded.delete(key);
      this.#byKey.delete(key);
    }
  }

  #dropLongestGone(): boolean {
    const gone = this.entries().filter(([, { goneMs }]) => goneMs !== 0);
    gone.sort(([, a], [, b]) => a.goneMs - b.goneMs);
    if (gone.length === 0) return false;
    this.#release(gone[0][0], UNKNOWN);
    return true;
  }

  #release(slot: number, tasksGet: number): void {
    for (const callback of this.#callbacks) callback(slot);
    this.#tasks.replace(slot, tasksGet);
    const entry = this.#entries.get(slot);
    if (entry !== undefined) this.#byKey.delete(entry.group.key);
    this.#entries.delete(slot);
  }
}
