/**
 * Compares the kernel's own text of a buffer with our decoding of its raw pages: count, order, CPU, pid, event, stamp
 * and fields must be the same for every event. The text is read first, because that takes nothing out of the buffer.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Pipeline } from '../../src/agent/stream/pipeline.ts';
import { makeDispatcher } from '../../src/decode/dispatch.ts';
import { bytesReader, intReader, textOf } from '../../src/decode/fields.ts';
import { parseFormat } from '../../src/decode/format.ts';
import { onlineCpus } from '../../src/host/cpus.ts';
import type { EventFormat } from '../../src/model/format.ts';
import type { EventRecord } from '../../src/model/record.ts';
import { createInstance } from '../../src/tracefs/instance.ts';
import { makeBench, TRACEFS } from '../support/agent.ts';

const bench = makeBench('differential');

/** How to describe an event as a string: once from the record, and once from the kernel's text after `name: `. */
interface Described {
  event: string;
  raw(format: EventFormat): (record: EventRecord) => string;
  text(details: string): string;
}

const ints = (format: EventFormat, ...names: string[]) => {
  const readers = names.map((name) => intReader(format, name));
  return (record: EventRecord) => readers.map((reader) => reader(record));
};
const string = (format: EventFormat, name: string) => {
  const reader = bytesReader(format, name);
  return (record: EventRecord) => textOf(reader, record);
};
/** The groups of a pattern, which must match. Numbers are doubles, so 64-bit values are rounded on both sides. */
const groups = (pattern: RegExp, details: string): string[] => {
  const match = pattern.exec(details);
  assert.ok(match, `${pattern} does not match ${JSON.stringify(details)}`);
  return match.slice(1).map((group) => (/^-?\d+$/.test(group) ? String(Number(group)) : group));
};

/** `S`, `D|K`, `R+`: flags as the event's own print fmt writes them. */
function stateNames(format: EventFormat): (state: number) => string {
  const names = [...format.printFmt.matchAll(/\{ (0x[0-9a-f]+), "(\w)" \}/g)].map(
    ([, bit, name]) => [Number(bit), name] as const,
  );
  const all = names.reduce((mask, [bit]) => mask | bit, 0);
  return (state) => {
    const set = names.filter(([bit]) => (state & bit) !== 0).map(([, name]) => name);
    return (set.join('|') || 'R') + ((state & (all + 1)) === 0 ? '' : '+');
  };
}

const wakeup = (event: string): Described => ({
  event,
  raw: (format) => {
    const [comm, numbers] = [string(format, 'comm'), ints(format, 'pid', 'prio', 'target_cpu')];
    return (record) => [comm(record), ...numbers(record)].join();
  },
  text: (details) => groups(/^comm=(.*) pid=(\d+) prio=(\d+) target_cpu=(\d+)$/, details).join(),
});

const softirq = (event: string): Described => ({
  event,
  raw: (format) => {
    const vec = ints(format, 'vec');
    return (record) => vec(record).join();
  },
  text: (details) => groups(/^vec=(\d+) \[action=\w+\]$/, details).join(),
});

const request = (event: string, last: 'comm' | 'error'): Described => ({
  event,
  raw: (format) => {
    const [device, place] = [ints(format, 'dev'), ints(format, 'sector', 'nr_sector')];
    const rwbs = string(format, 'rwbs');
    const end = last === 'comm' ? string(format, 'comm') : ints(format, 'error');
    return (record) => {
      const [dev] = device(record);
      return [dev >>> 20, dev & 0xfffff, rwbs(record), ...place(record), end(record)].join();
    };
  },
  text: (details) =>
    groups(/^(\d+),(\d+) (\w+) (?:\d+ )?\(.*?\) (\d+) \+ (\d+) \S* ?\[(.*)\]$/, details).join(),
});

const EVENTS: readonly Described[] = [
  {
    event: 'sched:sched_switch',
    raw: (format) => {
      const [prev, next] = [string(format, 'prev_comm'), string(format, 'next_comm')];
      const numbers = ints(format, 'prev_pid', 'prev_prio', 'prev_state', 'next_pid', 'next_prio');
      const stateOf = stateNames(format);
      return (record) => {
        const [prevPid, prevPrio, state, nextPid, nextPrio] = numbers(record);
        return [prev(record), prevPid, prevPrio, stateOf(state), next(record), nextPid, nextPrio].join();
      };
    },
    text: (details) =>
      groups(
        /^prev_comm=(.*) prev_pid=(\d+) prev_prio=(\d+) prev_state=(\S+) ==> next_comm=(.*) next_pid=(\d+) next_prio=(\d+)$/,
        details,
      ).join(),
  },
  wakeup('sched:sched_wakeup'),
  wakeup('sched:sched_wakeup_new'),
  softirq('irq:softirq_raise'),
  softirq('irq:softirq_entry'),
  softirq('irq:softirq_exit'),
  {
    event: 'irq:irq_handler_entry',
    raw: (format) => {
      const [irq, name] = [ints(format, 'irq'), string(format, 'name')];
      return (record) => [irq(record), name(record)].join();
    },
    text: (details) => groups(/^irq=(\d+) name=(.*)$/, details).join(),
  },
  {
    event: 'irq:irq_handler_exit',
    raw: (format) => {
      const numbers = ints(format, 'irq', 'ret');
      return (record) => {
        const [irq, ret] = numbers(record);
        return `${irq},${ret ? 'handled' : 'unhandled'}`;
      };
    },
    text: (details) => groups(/^irq=(\d+) ret=(\w+)$/, details).join(),
  },
  {
    event: 'raw_syscalls:sys_enter',
    raw: (format) => {
      const [id, args] = [ints(format, 'id'), bytesReader(format, 'args')];
      return (record) => {
        const view = new DataView(record.bytes.buffer, record.bytes.byteOffset);
        const values: string[] = [];
        for (let at = args.start(record); at < args.end(record); at += 8)
          values.push(view.getBigUint64(at, true).toString(16));
        return `${id(record)} ${values.join(' ')}`;
      };
    },
    text: (details) => {
      const [id, args] = groups(/^NR (-?\d+) \((.*)\)$/, details);
      return `${id} ${args.split(', ').join(' ')}`;
    },
  },
  {
    event: 'raw_syscalls:sys_exit',
    raw: (format) => {
      const numbers = ints(format, 'id', 'ret');
      return (record) => numbers(record).join();
    },
    text: (details) => groups(/^NR (-?\d+) = (-?\d+)$/, details).join(),
  },
  request('block:block_rq_insert', 'comm'),
  request('block:block_rq_issue', 'comm'),
  request('block:block_rq_complete', 'error'),
];

/**
 * `comm-pid [cpu] flags seconds.micros: event: details`. A comm can contain anything, so the pattern takes the last
 * number that fits.
 */
const LINE = /^\s*.*-(\d+)\s+\[(\d+)\] \S+\s+(\d+)\.(\d{6}): (\w+): (.*)$/;

function fromText(trace: string): string[] {
  const byName = new Map(EVENTS.map((described) => [described.event.split(':')[1], described]));
  return trace
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, pid, cpu, seconds, micros, name, details] = LINE.exec(line) ?? [];
      const described = byName.get(name);
      assert.ok(described, `unexpected line: ${line}`);
      return `${Number(seconds)}${micros} ${Number(cpu)} ${pid} ${name} ${described.text(details)}`;
    });
}

/** Sorts events by CPU, because events of different CPUs in the same nanosecond have no defined order. */
function byCpu(events: string[]): string[] {
  return events.toSorted((a, b) => Number(a.split(' ')[1]) - Number(b.split(' ')[1]));
}

test("the kernel's text and our decoding agree on every event", (t) => {
  const instance = createInstance(TRACEFS, bench.instanceName('i'));
  bench.atEnd(() => instance.remove());
  instance.prepare({ bufferBytesPerCpu: 48 << 20, subbufferBytes: 16 << 10, clock: 'mono' });
  instance.enable(EVENTS.map(({ event }) => event));
  return bench
    .workload(
      `const { execFileSync } = require('node:child_process');
       const fs = require('node:fs');
       const file = ${JSON.stringify(join(bench.directory, 'file'))};
       const work = () => {
         for (let i = 0; i < 8; i++) {
           const fd = fs.openSync(file, 'w');
           fs.writeSync(fd, Buffer.alloc(200_000, i));
           fs.fsyncSync(fd);
           fs.closeSync(fd);
           execFileSync('sh', ['-c', 'ls / | wc -l; :']);
         }
       };`,
    )
    .then(async (workload) => {
      // These are events of the whole machine. Other programs can cause so many that the buffer overflows.
      for (let attempt = 1; ; attempt++) {
        instance.start();
        await workload.run();
        instance.stop();
        if (onlineCpus().every((cpu) => instance.stats(cpu).overrun === 0)) break;
        t.diagnostic(`attempt ${attempt}: the buffer was too small for what the machine does`);
        assert.ok(attempt < 5, 'events were lost in every attempt');
        closeSync(openSync(join(instance.dir, 'trace'), 'w'));
      }
      await workload.end();
      const expected = fromText(readFileSync(join(instance.dir, 'trace'), 'utf8'));

      const decoded: string[] = [];
      const stamps: number[] = [];
      const metadata = instance.metadata();
      const types = EVENTS.map(({ event, raw }) => {
        const [system, name] = event.split(':');
        const format = parseFormat(system, metadata.formatText(event) ?? '');
        assert.ok(!('error' in format), `${event} ${JSON.stringify(format)}`);
        const [describe, pid] = [raw(format), intReader(format, 'common_pid')];
        const handler = (record: EventRecord) => {
          // The text rounds to whole microseconds: ns2usecs() in kernel/trace/trace.c.
          const micros = Math.floor((record.timestampNs + 500) / 1000);
          stamps.push(record.timestampNs);
          decoded.push(`${micros} ${record.cpu} ${pid(record)} ${name} ${describe(record)}`);
        };
        return { id: format.id, handler, minLength: 0 };
      });
      const onError = (cpu: number, error: string, cause?: unknown) => {
        throw new Error(`CPU ${cpu}: ${error}`, { cause });
      };
      const pipeline = new Pipeline({
        source: instance.openPages(),
        layout: metadata.layout,
        plan: {
          dispatcher: makeDispatcher(types),
          onLoss: (cpu) => assert.fail(`events of CPU ${cpu} were lost`),
        },
        onError,
      });
      pipeline.flush();

      const read = onlineCpus().reduce((sum, cpu) => sum + instance.stats(cpu).readEvents, 0);
      t.diagnostic(`${decoded.length} events`);
      assert.equal(decoded.length, read);
      assert.equal(decoded.length, expected.length);
      for (let from = 0, to = 1; from < decoded.length; from = to, to++) {
        while (stamps[to] === stamps[from]) to++;
        const part = (events: string[]) => byCpu(events.slice(from, to));
        assert.deepEqual(part(decoded), part(expected), `event ${from} of ${decoded.length}`);
      }
      const seen = new Set(decoded.map((event) => event.split(' ')[3]));
      for (const { event } of EVENTS) {
        // A disk without an I/O scheduler has no inserts, and perhaps no interrupt occurred during the recording.
        if (/insert|irq_handler/.test(event)) continue;
        assert.ok(seen.has(event.split(':')[1]), `no ${event} was recorded: nothing was compared`);
      }
    });
});
