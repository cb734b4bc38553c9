/** A table of containers that a test can fill: slots by task, labels by slot. */
import {
  type ContainerLabels,
  type Containers,
  FIRST_CONTAINER,
  FIXED_LABELS,
  UNKNOWN,
} from '../../../src/model/containers.ts';

export interface FakeContainers extends Containers {
  /** Labels of the containers, in the order of their slots. */
  named: (ContainerLabels | undefined)[];
  release(slot: number): void;
}

export function fakeContainers(named: (ContainerLabels | undefined)[]): FakeContainers {
  const table = new Uint8Array(1 << 16).fill(UNKNOWN);
  const callbacks = new Set<(slot: number) => void>();
  return {
    named,
    table,
    miss: () => {},
    labels: (slot) => FIXED_LABELS[slot] ?? named[slot - FIRST_CONTAINER],
    ids: () => undefined,
    slots: () => [...FIXED_LABELS.keys(), ...named.map((_, i) => i + FIRST_CONTAINER)],
    usage: () => undefined,
    onRelease: (callback) => {
      callbacks.add(callback);
      return () => callbacks.delete(callback);
    },
    missed: () => ({ unknown: 0, surplus: 0 }),
    release: (slot) => {
      for (const callback of callbacks) callback(slot);
      named[slot - FIRST_CONTAINER] = undefined;
    },
  };
}
