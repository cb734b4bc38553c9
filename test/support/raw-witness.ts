/**
 * Records events in an instance of its own and reads them with a small parser that shares no code with the agent.
 * Layout: include/linux/ring_buffer.h; fields: the `format` files. Works on x86-64 and arm64, which are both
 * little-endian with a `commit` of eight bytes.
 */
import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { onlineCpus } from '../../src/host/cpus.ts';
import { type Bench, TRACEFS } from './agent.ts';

export interface WitnessedEvent {
  /** Name of the event, such as `sched:sched_switch`. */
  event: string;
  cpu: number;
  ns: number;
  pid: number;
  /** Returns the value of a field. `text` is for fields of type `char[]`, `number` for all others. */
  number(field: string): number;
  text(field: string): string;
}

export interface RawWitness {
  /** Stops watching and returns all events in the order of time. Fails if events were overwritten. */
  events(): WitnessedEvent[];
}

/** Starts to record the events that are the keys of `filters`, each with its filter. */
export function watchRaw(bench: Bench, filters: Readonly<Record<string, string>>): RawWitness {
  const dir = join(TRACEFS, 'instances', bench.instanceName('raw'));
  mkdirSync(dir);
  bench.atEnd(() => rmdirSync(dir));
  const put = (file: string, text: string) => writeFileSync(join(dir, file), text);
  put('tracing_on', '0');
  put('trace_clock', 'mono');
  put('buffer_size_kb', '32768');
  const formats = new Map<number, Format>();
  for (const [event, filter] of Object.entries(filters)) {
    const path = `events/${event.replace(':', '/')}`;
    const format = readFormat(event, readFileSync(join(dir, path, 'format'), 'latin1'));
    formats.set(format.id, format);
    put(`${path}/filter`, filter);
    put(`${path}/enable`, '1');
  }
  put('tracing_on', '1');
  return {
    events: () => {
      put('tracing_on', '0');
      const events = onlineCpus().flatMap((cpu) => {
        const stats = readFileSync(join(dir, `per_cpu/cpu${cpu}/stats`), 'latin1');
        assert.match(stats, /^overrun: 0$/m, 'the witness has overwritten events');
        return pagesOf(join(dir, `per_cpu/cpu${cpu}/trace_pipe_raw`)).flatMap((page) =>
          eventsOf(page, cpu, formats),
        );
      });
      return events.sort((a, b) => a.ns - b.ns);
    },
  };
}

interface Format {
  event: string;
  id: number;
  fields: Map<string, { offset: number; size: number; isSigned: boolean }>;
}

function readFormat(event: string, text: string): Format {
  const fields = new Map<string, { offset: number; size: number; isSigned: boolean }>();
  for (const [, name, offset, size, sign] of text.matchAll(
    /(\w+)(?:\[\d+\])?;\s+offset:(\d+);\s+size:(\d+);\s+signed:(\d);/g,
  ))
    fields.set(name, { offset: Number(offset), size: Number(size), isSigned: sign === '1' });
  return { event, id: Number(/^ID: (\d+)$/m.exec(text)?.[1]), fields };
}

/** Reads all pages of a CPU. A page is one sub-buffer; this instance has the default size, 4 KiB. */
function pagesOf(file: string): Buffer[] {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const pages: Buffer[] = [];
  try {
    for (;;) {
      const page = Buffer.alloc(4096);
      if (readSync(fd, page) <= 0) return pages;
      pages.push(page);
    }
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
    return pages;
  } finally {
    closeSync(fd);
  }
}

const HEADER_BYTES = 16;
const PADDING = 29;
const TIME_EXTEND = 30;
const TIME_STAMP = 31;

function eventsOf(page: Buffer, cpu: number, formats: ReadonlyMap<number, Format>): WitnessedEvent[] {
  const events: WitnessedEvent[] = [];
  let ns = Number(page.readBigUInt64LE(0));
  const end = HEADER_BYTES + (page.readUInt32LE(8) & 0xfffff);
  for (let at = HEADER_BYTES; at < end; ) {
    const head = page.readUInt32LE(at);
    const [type, delta] = [head & 31, head >>> 5];
    const next = page.readUInt32LE(at + 4);
    if (type === TIME_EXTEND || type === TIME_STAMP) {
      // Absolute timestamps have only 59 bits, but no machine has been up long enough to exceed them.
      ns = (type === TIME_EXTEND ? ns : 0) + delta + next * 2 ** 27;
      at += 8;
      continue;
    }
    if (type === PADDING) {
      ns += delta;
      at += 4 + next;
      continue;
    }
    ns += delta;
    const data = at + (type === 0 ? 8 : 4);
    at += type === 0 ? 4 + next : 4 + type * 4;
    const format = formats.get(page.readUInt16LE(data));
    if (format !== undefined) events.push(eventAt(page, data, { cpu, ns, format }));
  }
  return events;
}

function eventAt(
  page: Buffer,
  data: number,
  { cpu, ns, format }: { cpu: number; ns: number; format: Format },
): WitnessedEvent {
  const field = (name: string) => {
    const layout = format.fields.get(name);
    assert.ok(layout, `${format.event} has no field ${name}`);
    return layout;
  };
  return {
    event: format.event,
    cpu,
    ns,
    pid: page.readInt32LE(data + field('common_pid').offset),
    number: (name) => {
      const { offset, size, isSigned } = field(name);
      if (size === 8)
        return Number(isSigned ? page.readBigInt64LE(data + offset) : page.readBigUInt64LE(data + offset));
      return isSigned ? page.readIntLE(data + offset, size) : page.readUIntLE(data + offset, size);
    },
    text: (name) => {
      const { offset, size } = field(name);
      return page.toString('latin1', data + offset, data + offset + size).split('\0')[0];
    },
  };
}
