/** Differential: the kernel's own text of a buffer and our decoding of its raw pages agree, event for event. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeDispatcher } from '../../../src/decode/dispatch.ts';
import { bytesReader, intReader, textOf } from '../../../src/decode/fields.ts';
import { parseFormat } from '../../../src/decode/format.ts';
import { Merger } from '../../../src/decode/merge.ts';
import type { EventFormat } from '../../../src/model/format.ts';
import type { EventHandler } from '../../../src/model/record.ts';
import { createInstance, type Instance } from '../../../src/tracefs/instance.ts';
import { nodeOn, TRACEFS } from './lab.ts';

/** Integer and text fields that the kernel prints as NAME=VALUE, or where it says otherwise, how. */
const EVENTS: Readonly<Record<string, { ints?: string[]; texts?: string[]; print?: (v: Values) => string }>> =
  {
    'sched:sched_switch': {
      ints: ['prev_pid', 'prev_prio', 'next_pid', 'next_prio'],
      texts: ['prev_comm', 'next_comm'],
    },
    'sched:sched_wakeup': { ints: ['pid', 'prio'], texts: ['comm'] },
    'sched:sched_wakeup_new': { ints: ['pid', 'prio'], texts: ['comm'] },
    'sched:sched_migrate_task': { ints: ['pid', 'prio', 'orig_cpu', 'dest_cpu'], texts: ['comm'] },
    'irq:irq_handler_entry': { ints: ['irq'], texts: ['name'] },
    'irq:irq_handler_exit': { ints: ['irq'] },
    'irq:softirq_raise': { ints: ['vec'] },
    'irq:softirq_entry': { ints: ['vec'] },
    'irq:softirq_exit': { ints: ['vec'] },
    'raw_syscalls:sys_enter': { ints: ['id'], print: ({ id }) => `NR ${id} (` },
    'raw_syscalls:sys_exit': { ints: ['id', 'ret'], print: ({ id, ret }) => `NR ${id} = ${ret}` },
  };
type Values = Readonly<Record<string, number | string>>;

interface Seen {
  /** Event's name, pid and stamp in microseconds. */
  head: string;
  values: Values;
  print: ((v: Values) => string) | undefined;
}

describe('raw pages and text', () => {
  let instance: Instance | undefined;
  const text = new Map<number, string[]>();
  const raw = new Map<number, Seen[]>();

  before(() => {
    instance = createInstance(TRACEFS, `lab-text-${process.pid}`);
    instance.prepare({ bufferBytesPerCpu: 4 << 20, subbufferBytes: 4096, clock: 'mono' });
    instance.enable(Object.keys(EVENTS));
    instance.start();
    nodeOn(
      0,
      `for (let i = 0; i < 200; i++) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)`,
    );
    execFileSync('dd', ['if=/dev/vda', 'of=/dev/null', 'bs=4k', 'count=100', 'iflag=direct', 'status=none']);
    instance.stop();
    for (let cpu = 0; cpu < instance.cpuCount; cpu++) {
      const file = join(instance.dir, 'per_cpu', `cpu${cpu}`, 'trace');
      const lines = readFileSync(file, 'utf8').split('\n');
      text.set(
        cpu,
        lines.filter((line) => line !== '' && !line.startsWith('#')),
      );
      raw.set(cpu, []);
    }
    decode(instance, raw);
  });
  after(() => instance?.remove());

  it('have the same events, in the same order, by the same tasks, at the same time', () => {
    let compared = 0;
    for (const [cpu, lines] of text) {
      const events = raw.get(cpu) ?? [];
      const heads = lines.map(headOf);
      const differs = heads.findIndex((head, i) => head !== events[i]?.head);
      assert.equal(differs, -1, `CPU ${cpu}: ${lines[differs]} is ${JSON.stringify(events[differs])}`);
      assert.equal(events.length, heads.length);
      compared += heads.length;
    }
    assert.ok(compared > 2000, `only ${compared} events`);
  });

  it('have the same fields', () => {
    const compared = new Map<string, number>();
    for (const [cpu, lines] of text) {
      lines.forEach((line, i) => {
        const { head, values, print } = (raw.get(cpu) ?? [])[i];
        const wanted = print === undefined ? Object.entries(values).map(printed) : [print(values)];
        for (const part of wanted) {
          const found = typeof part === 'string' ? line.includes(part) : part.test(line);
          assert.ok(found, `${part} is not in: ${line}`);
        }
        const name = head.split(' ')[0];
        compared.set(name, (compared.get(name) ?? 0) + 1);
      });
    }
    for (const name of [
      'sched_switch',
      'sched_wakeup',
      'irq_handler_entry',
      'softirq_entry',
      'sys_enter',
      'sys_exit',
    ])
      assert.ok((compared.get(name) ?? 0) > 20, `${name}: ${compared.get(name)}`);
  });

  it('are as many as the kernel counts', () => {
    assert.ok(instance);
    for (const [cpu, events] of raw) {
      const { readEvents, entries, overrun } = instance.stats(cpu);
      assert.deepEqual([readEvents, entries, overrun], [events.length, 0, 0]);
    }
  });
});

/** `NAME=VALUE`, where numbers may have leading zeroes (`target_cpu=001`). */
function printed([name, value]: [string, number | string]): string | RegExp {
  return typeof value === 'string' ? `${name}=${value}` : new RegExp(`\\b${name}=0*${value}\\b`);
}

/** Name, pid and stamp of a line: `comm-pid [cpu] flags seconds.micros: name: …`, anchored from the right of comm. */
function headOf(line: string): string {
  const found = /-(\d+)\s+(?:\([ \d-]+\)\s+)?\[\d+\]\s+\S+\s+(\d+)\.(\d{6}): (\w+):? /.exec(line);
  assert.ok(found, `not understood: ${line}`);
  const [, pid, seconds, micros, name] = found;
  return `${name} ${pid} ${Number(seconds) * 1e6 + Number(micros)}`;
}

function decode(instance: Instance, into: Map<number, Seen[]>): void {
  const metadata = instance.metadata();
  const types = Object.entries(EVENTS).map(([event, { ints = [], texts = [], print }]) => {
    const [system, name] = event.split(':');
    const format = parseFormat(system, metadata.formatText(event) ?? '');
    assert.ok(!('error' in format), `${event}: ${JSON.stringify(format)}`);
    const readers = ints.map((field) => [field, intReader(format as EventFormat, field)] as const);
    const located = texts.map((field) => [field, bytesReader(format as EventFormat, field)] as const);
    const pid = intReader(format, 'common_pid');
    const handler: EventHandler = (record) => {
      const values: Record<string, number | string> = {};
      for (const [field, read] of readers) values[field] = read(record);
      for (const [field, reader] of located) values[field] = textOf(reader, record);
      // The kernel prints whole microseconds, rounded: trace_output.c, ns2usecs().
      const micros = Math.floor((record.timestampNs + 500) / 1000);
      into.get(record.cpu)?.push({ head: `${name} ${pid(record)} ${micros}`, values, print });
    };
    return { id: format.id, handler, minLength: 0 };
  });
  const fail = (cpu: number, error: string, cause?: unknown) => {
    throw new Error(`CPU ${cpu}: ${error}`, { cause });
  };
  const merger = new Merger(metadata.layout, {
    dispatcher: makeDispatcher(types),
    onLoss: (cpu) => fail(cpu, 'events were lost'),
    onError: fail,
  });
  const pages = instance.openPages();
  for (const cpu of pages.cpus()) {
    for (;;) {
      const page = merger.takePage();
      const length = pages.readPage(cpu, page.bytes);
      if (length === 0) break;
      merger.add(cpu, page, length);
    }
  }
  merger.run(Number.POSITIVE_INFINITY);
  pages.close();
}
