/**
 * Stores the names of the recording machine's block devices as markers at the start of the trace, because the trace.dat
 * format has no field for these names. trace-cmd shows a marker as a line of text; replay parses the names.
 */
import type { EventHandler } from '../model/record.ts';

const PREFIX = 'ftrace-exporter: block devices ';

/** Maximum number of devices per marker. Some kernels cut off a marker after 1 KiB. */
const DEVICES_A_MARKER = 32;

/**
 * Returns markers that list the major number, minor number and name of each device: `254:0=vda 8:0=sda`. The keys of
 * `devices` are the kernel's dev_t.
 */
export function factsMarkers(devices: ReadonlyMap<number, string>): string[] {
  const named = [...devices].map(([dev, name]) => `${dev >>> 20}:${dev & 0xfffff}=${name}`);
  const lines: string[] = [];
  for (let i = 0; i < named.length; i += DEVICES_A_MARKER) {
    lines.push(PREFIX + named.slice(i, i + DEVICES_A_MARKER).join(' '));
  }
  return lines;
}

/**
 * Returns a handler of `ftrace:print` records that adds the devices to a map, with the kernel's dev_t as key. `text`
 * returns the text of a record's marker.
 */
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
