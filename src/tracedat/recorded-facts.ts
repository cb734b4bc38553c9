/**
 * Stores facts about the recording machine that have no place in the trace.dat format, as a marker at the start of the
 * trace. trace-cmd shows it as a line of text; replay reads the names of block devices from it.
 */
import type { EventHandler } from '../model/record.ts';

const PREFIX = 'ftrace-exporter: block devices ';

/** Some kernels cut a marker at 1 KiB. */
const DEVICES_A_MARKER = 32;

/** Returns lines such as `254:0=vda 8:0=sda`, with major and minor numbers as the kernel prints them. */
export function factsMarkers(devices: ReadonlyMap<number, string>): string[] {
  const named = [...devices].map(([dev, name]) => `${dev >>> 20}:${dev & 0xfffff}=${name}`);
  const lines: string[] = [];
  for (let i = 0; i < named.length; i += DEVICES_A_MARKER) {
    lines.push(PREFIX + named.slice(i, i + DEVICES_A_MARKER).join(' '));
  }
  return lines;
}

/** Makes a handler of `ftrace:print` records that adds the devices to the map, by the kernel's dev_t. */
export function factsReader(
  text: (record: Parameters<EventHandler>[0]) => string,
  devices: Map<number, string>,
): EventHandler {
  return (record) => {
    const line = text(record);
    if (!line.startsWith(PREFIX)) return;
    for (const [, major, minor, name] of line.slice(PREFIX.length).matchAll(/(\d+):(\d+)=(\S+)/g)) {
      devices.set((Number(major) << 20) | Number(minor), name);
    }
  };
}
