/**
 * Facts about the recording machine that trace.dat has no place for, written into the trace itself: a marker as its
 * first event. trace-cmd shows it as a line of text; replay takes names of block devices from it.
 */
import type { EventHandler } from '../model/record.ts';

const PREFIX = 'ftrace-exporter: block devices ';

/** A marker may be cut at 1 KiB on some kernels. */
const DEVICES_A_MARKER = 32;

/** Lines like `254:0=vda 8:0=sda`, major and minor as the kernel prints them. */
export function factsMarkers(devices: ReadonlyMap<number, string>): string[] {
  const named = [...devices].map(([dev, name]) => `${dev >>> 20}:${dev & 0xfffff}=${name}`);
  const lines: string[] = [];
  for (let i = 0; i < named.length; i += DEVICES_A_MARKER) {
    lines.push(PREFIX + named.slice(i, i + DEVICES_A_MARKER).join(' '));
  }
  return lines;
}

/** Handler of `ftrace:print` records that adds the devices named there, by the kernel's dev_t. */
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
