/**
 * Assigns a row (a small number) to each block device. Forgets a device when it has been absent for five minutes, or
 * when the kernel gave its dev_t to another device.
 */
import type { HostFacts, NameList } from '../probe.ts';

/** Calls of `sweep` between two checks. There is one call per second. */
const CHECK_EVERY = 10;
const GONE_FOR_SWEEPS = 300;

/** Returns the globs in the config. The agent reports globs that match no disk. */
export function deviceNames(devices: readonly string[], host: HostFacts): NameList[] {
  // `*` is valid even on a machine without disks.
  const globs = devices.filter((glob) => !/^\*+$/.test(glob));
  return [{ key: 'devices', globs, kind: 'disk', offered: host.blockDeviceNames() }];
}

interface SeenDevice {
  dev: number;
  name: string;
  wanted: boolean;
  goneFor: number;
}

export class SeenDevices {
  readonly #host: HostFacts;
  readonly #wanted: (name: string) => boolean;
  readonly #onNew: (row: number) => void;
  readonly #onGone: (row: number, name: string) => void;
  /** Device by row; undefined if the row is free. */
  readonly #devices: (SeenDevice | undefined)[] = [];
  /** The dev_t by row; 0 if the row is free. */
  #devs = new Int32Array(16);
  #last = 0;
  #sweeps = 0;

  /**
   * `wanted`: whether the config selects a name. `onNew` and `onGone` report rows of selected devices. The `name` for
   * `onGone` is '' if another row has the same device name, so that the caller keeps the series.
   */
  constructor(
    host: HostFacts,
    wanted: (name: string) => boolean,
    onNew: (row: number) => void,
    onGone: (row: number, name: string) => void,
  ) {
    this.#host = host;
    this.#wanted = wanted;
    this.#onNew = onNew;
    this.#onGone = onGone;
  }

  nameOf(row: number): string {
    return this.#devices[row]?.name ?? '';
  }

  /** Returns the row of a device; -1 if the config excludes it, or if `dev` is 0 (a request without a disk). */
  row(dev: number): number {
    if (dev === 0) return -1;
    let row = this.#last;
    if (this.#devs[row] !== dev) {
      // With a few dozen devices, a linear search is faster than a hash table.
      row = this.#devs.indexOf(dev);
      if (row < 0) row = this.#add(dev);
      this.#last = row;
    }
    return this.#devices[row]?.wanted === true ? row : -1;
  }

  /** Checks which devices were removed or renamed. */
  sweep(): void {
    if (++this.#sweeps % CHECK_EVERY !== 0) return;
    for (let row = 0; row < this.#devices.length; row++) {
      const device = this.#devices[row];
      if (device === undefined) continue;
      if (this.#host.blockDeviceExists(device.dev)) {
        device.goneFor = 0;
        if (this.#host.blockDeviceName(device.dev) !== device.name) this.#forget(row, device);
      } else {
        device.goneFor += CHECK_EVERY;
        if (device.goneFor >= GONE_FOR_SWEEPS) this.#forget(row, device);
      }
    }
  }

  #add(dev: number): number {
    let row = this.#devices.indexOf(undefined);
    if (row < 0) row = this.#devices.length;
    if (row >= this.#devs.length) {
      const grown = new Int32Array(this.#devs.length * 2);
      grown.set(this.#devs);
      this.#devs = grown;
    }
    const name = this.#host.blockDeviceName(dev);
    const wanted = this.#wanted(name);
    this.#devices[row] = { dev, name, wanted, goneFor: 0 };
    this.#devs[row] = dev;
    if (wanted) this.#onNew(row);
    return row;
  }

  #forget(row: number, device: SeenDevice): void {
    this.#devices[row] = undefined;
    this.#devs[row] = 0;
    // The same device can have another dev_t now. Another row then has the same name and uses the same series.
    const livesOn = this.#devices.some((other) => other?.name === device.name);
    if (device.wanted) this.#onGone(row, livesOn ? '' : device.name);
  }
}
