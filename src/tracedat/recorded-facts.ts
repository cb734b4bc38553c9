/** Stores the names of block devices as markers, because the trace.dat format has no field for these names. */
import type { EventHandler } from '../model/record.ts';

const PREFIX = 'ftrace-exporter: block devices ';

/** Maximum number of devices per marker. Some kernels cut off a marker after 1 KiB. */
const DEVICES_A_MARKER = 32;

/** Returns markers with `MAJOR:MINOR=NAME` of each device. The keys of `devices` are the kernel's dev_t. */
export function factsMarkers(devices: ReadonlyMap<number, string>): string[] {
  const named = [...devices].map(([dev, name]) => `${dev >>> 20}:${dev & 0xfffff}=${name}`);
  const lines: string[] = [];
  for (let i = 0; i < named.length; i += DEVICES_A_MARKER) {
    lines.push(PREFIX + named.slice(i, i + DEVICES_A_MARKER).join(' '));
  }
  return lines;
}

/** Returns a handler of `ftrace:print` that adds devices by dev_t. `text` returns the text of a record's marker. */
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
