/**
 * Finds names of block devices in sysfs, by dev_t (major << 20 | minor). In a Podman container, /sys/dev/block is
 * empty. Then, only whole disks get names, from /sys/block.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { errnoOf } from '../model/errors.ts';

const MINOR_BITS = 20;

export interface BlockDevices {
  /** Returns the name, such as `nvme0n1`. If no name is found, returns the number, such as `259:0`. */
  name(dev: number): string;
  /** Returns whether the device exists; true if sysfs cannot be read. Updates the cached name of a reused number. */
  exists(dev: number): boolean;
}

/** Formats a dev_t: `259:0`. */
export function deviceNumber(dev: number): string {
  return `${dev >>> MINOR_BITS}:${dev & ((1 << MINOR_BITS) - 1)}`;
}

/** Returns the block devices of this machine. Looks up each name once, and caches it until `exists` finds a change. */
export function liveBlockDevices(sysfs = '/sys'): BlockDevices {
  const names = new Map<number, string>();
  return {
    name: (dev) => {
      const cached = names.get(dev);
      if (cached !== undefined) return cached;
      const name = lookUp(sysfs, dev);
      if (name !== undefined) names.set(dev, name);
      return name ?? deviceNumber(dev);
    },
    exists: (dev) => {
      const name = lookUp(sysfs, dev);
      if (name === undefined) names.delete(dev);
      else names.set(dev, name);
      return name !== undefined || !existsSync(`${sysfs}/dev/block`);
    },
  };
}

/** Returns the names of all current block devices by dev_t; none if sysfs cannot be read. */
export function listBlockDevices(sysfs = '/sys'): Map<number, string> {
  const devices = new Map<number, string>();
  if (!existsSync(`${sysfs}/dev/block`)) return devices;
  const links = readdirSync(`${sysfs}/dev/block`);
  for (const entry of links.length > 0 ? links : disksByNumber(sysfs).keys()) {
    const number = /^(\d+):(\d+)$/.exec(entry);
    if (number === null) continue;
    const dev = (Number(number[1]) << MINOR_BITS) | Number(number[2]);
    const name = lookUp(sysfs, dev);
    if (name !== undefined) devices.set(dev, name);
  }
  return devices;
}

/** Returns the names of whole disks, or undefined if sysfs cannot be read. */
export function diskNames(sysfs = '/sys'): string[] | undefined {
  const directory = `${sysfs}/block`;
  return existsSync(directory) ? readdirSync(directory).map(plainName) : undefined;
}

function lookUp(sysfs: string, dev: number): string | undefined {
  const file = `${sysfs}/dev/block/${deviceNumber(dev)}`;
  try {
    const target = readlinkSync(file);
    return plainName(target.slice(target.lastIndexOf('/') + 1));
  } catch (error) {
    if (errnoOf(error) === '') throw error;
    return areHidden(sysfs) ? disksByNumber(sysfs).get(deviceNumber(dev)) : undefined;
  }
}

/** Replaces `!` with `/`, because the kernel writes `!` instead of `/` in sysfs names (cciss!c0d0). */
const plainName = (name: string) => name.replaceAll('!', '/');

function areHidden(sysfs: string): boolean {
  const links = `${sysfs}/dev/block`;
  return existsSync(links) && readdirSync(links).length === 0;
}

/** Returns the names of whole disks by number: `8:0` → `sda`. */
function disksByNumber(sysfs: string): Map<string, string> {
  const disks = new Map<string, string>();
  const directory = `${sysfs}/block`;
  for (const disk of existsSync(directory) ? readdirSync(directory) : []) {
    try {
      disks.set(readFileSync(`${directory}/${disk}/dev`, 'utf8').trim(), plainName(disk));
    } catch (error) {
      // Skip a disk that was removed after it was listed.
      if (errnoOf(error) === '') throw error;
    }
  }
  return disks;
}
