/**
 * Facts about the recording machine that trace.dat has no place for, written into the trace itself: a marker as its
 * first event. trace-cmd shows it as a line of text; replay takes names of block devices from it.
 */
import type { EventHandler } from '../model/record.ts';

const PREFIX = 'ftrace-exporter: block devices ';

/** `254:0=vda 8:0=sda`, major and minor as the kernel prints them. */
export function factsMarker(devices: ReadonlyMap<number, string>): string {
  const named = [...devices].map(([dev, name]) => `${dev >>> 20}:${dev & 0xfffff}=${name}`);
  return `${PREFIX}${named.join(' ')}\n`;
}

/** Handler of `ftrace:print` records that adds the devices named there, by the kernel's dev_t. */
export function factsReader(text: (record: Parameters<EventHandler>[0]) => string, devices: Map<number, string>): EventHandler {
  return (record) => {
    const line = text(record);
    if (!line.startsWith(PREFIX)) return;
    for (const [, major, minor, name] of line.slice(PREFIX.length).matchAll(/(\d+):(\d+)=(\S+)/g)) {
      devices.set((Number(major) << 20) | Number(minor), name);
    }
  };
}
