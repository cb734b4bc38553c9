/** Encodes the beginning of a trace.dat file, up to the table of CPUs. Format: trace-cmd.dat.v6(5). */
import type { BufferStats, TraceMetadata } from '../model/source.ts';
import { cpuStatsText } from './cpu-stats.ts';
import { headerPageText } from './header-page.ts';
import {
  FLYRECORD,
  HEADER_EVENT,
  MAGIC,
  OPTION_CPUSTAT,
  OPTION_DONE,
  OPTION_TRACECLOCK,
  OPTION_UNAME,
  OPTIONS,
  VERSION,
} from './trace-dat.ts';

export interface SystemFormats {
  system: string;
  formats: readonly string[];
}

export interface HeaderParts {
  metadata: TraceMetadata;
  /** Formats of the tracers' own records (system `ftrace`). */
  ftraceFormats: readonly string[];
  systems: readonly SystemFormats[];
  /** Lines `pid comm`, as in `saved_cmdlines`. */
  cmdlines: string;
  stats: readonly BufferStats[];
  /** Lines `address type name`, as in /proc/kallsyms; '' if the recording needs no names of functions. */
  kallsyms: string;
}

/** Returns the bytes before the table with the offset and size of each CPU's pages. */
export function headerBytes(parts: HeaderParts): Uint8Array {
  const { metadata } = parts;
  const chunks: Uint8Array[] = [];
  const text = (value: string) => chunks.push(Buffer.from(value, 'utf8'));
  const number = (value: number, bytes: 1 | 2 | 4 | 8) => chunks.push(littleEndian(value, bytes));
  const sized = (value: string, bytes: 4 | 8) => {
    const encoded = Buffer.from(value, 'utf8');
    number(encoded.length, bytes);
    chunks.push(encoded);
  };
  const option = (id: number, value: string) => {
    number(id, 2);
    sized(`${value}\0`, 4);
  };

  text(`${MAGIC}${VERSION}\0`);
  number(0, 1);
  number(metadata.layout.commitSize, 1);
  number(metadata.layout.pageSize, 4);
  text('header_page\0');
  sized(headerPageText(metadata.layout), 8);
  text('header_event\0');
  sized(HEADER_EVENT, 8);
  number(parts.ftraceFormats.length, 4);
  for (const format of parts.ftraceFormats) sized(format, 8);
  number(parts.systems.length, 4);
  for (const { system, formats } of parts.systems) {
    text(`${system}\0`);
    number(formats.length, 4);
    for (const format of formats) sized(format, 8);
  }
  sized(parts.kallsyms, 4);
  // Write no printk formats, because they contain kernel addresses.
  number(0, 4);
  sized(parts.cmdlines, 8);
  number(metadata.cpuCount, 4);
  text(OPTIONS);
  option(OPTION_TRACECLOCK, metadata.clock === 'local' ? '[local] mono' : `local [${metadata.clock}]`);
  // Like trace-cmd, write the result of uname(2), but without the host's name.
  option(OPTION_UNAME, `Linux localhost ${metadata.kernelRelease} ${metadata.machine}`);
  for (const stats of parts.stats) option(OPTION_CPUSTAT, cpuStatsText(stats));
  number(OPTION_DONE, 2);
  text(FLYRECORD);
  return Buffer.concat(chunks);
}

/** Encodes an integer of at most 53 bits. */
export function littleEndian(value: number, bytes: 1 | 2 | 4 | 8): Uint8Array {
  const out = new Uint8Array(bytes);
  let rest = value;
  for (let i = 0; i < bytes; i++) {
    out[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return out;
}
