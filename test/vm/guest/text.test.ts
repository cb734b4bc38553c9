/**
 * Differential test: the kernel's own text of a buffer and our decoding of its raw pages must agree, event for event.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createInstance, type Instance } from '../../../src/tracefs/instance.ts';
import { lineOf, microsOf } from './kernel-text.ts';
import { nodeOn, TRACEFS } from './lab.ts';
import { type FieldNeeds, type RawEvent, readRawEvents } from './raw-events.ts';
import { diskIo } from './workloads.ts';

interface Event extends FieldNeeds {
  /** How its line begins, if not with the event's name. */
  head?: string;
  /** What its line contains, if not each field as NAME=VALUE. */
  print?(event: RawEvent): string | RegExp;
}

const TASK = { ints: ['pid', 'prio'], texts: ['comm'] };
const ISSUE = { ints: ['dev', 'nr_sector', 'bytes'], exact: ['sector'], texts: ['rwbs'], print: issued };
const COMPLETE = { ints: ['dev', 'nr_sector'], exact: ['sector'], texts: ['rwbs'], print: completed };

/** All events that probes need, including optional ones. */
const EVENTS: Readonly<Record<string, Event>> = {
  'sched:sched_switch': {
    ints: ['prev_pid', 'prev_prio', 'next_pid', 'next_prio'],
    texts: ['prev_comm', 'next_comm'],
  },
  'sched:sched_wakeup': TASK,
  'sched:sched_wakeup_new': TASK,
  'sched:sched_waking': TASK,
  'sched:sched_migrate_task': { ints: ['pid', 'prio', 'orig_cpu', 'dest_cpu'], texts: ['comm'] },
  'sched:sched_process_exec': { ints: ['pid', 'old_pid'], texts: ['filename'] },
  'sched:sched_process_exit': TASK,
  'irq:irq_handler_entry': { ints: ['irq'], texts: ['name'] },
  'irq:irq_handler_exit': {
    ints: ['irq', 'ret'],
    print: ({ ints: { irq, ret } }) => `irq=${irq} ret=${ret ? 'handled' : 'unhandled'}`,
  },
  'irq:softirq_raise': { ints: ['vec'] },
  'irq:softirq_entry': { ints: ['vec'] },
  'irq:softirq_exit': { ints: ['vec'] },
  'irq_vectors:local_timer_entry': { ints: ['vector'] },
  'irq_vectors:local_timer_exit': { ints: ['vector'] },
  'raw_syscalls:sys_enter': { ints: ['id'], print: ({ ints: { id } }) => `NR ${id} (` },
  'raw_syscalls:sys_exit': { ints: ['id', 'ret'], print: ({ ints: { id, ret } }) => `NR ${id} = ${ret}` },
  'syscalls:sys_enter_dup2': {
    head: 'sys_dup2',
    ints: ['oldfd', 'newfd'],
    // Some kernels print 0x, others do not.
    print: ({ ints: { oldfd, newfd } }) =>
      new RegExp(`oldfd: (0x)?${oldfd.toString(16)}, newfd: (0x)?${newfd.toString(16)}[)]$`),
  },
  'syscalls:sys_exit_dup2': {
    head: 'sys_dup2',
    ints: ['ret'],
    print: ({ ints: { ret } }) => `-> 0x${BigInt.asUintN(64, BigInt(ret)).toString(16)}`,
  },
  'block:block_rq_insert': ISSUE,
  'block:block_rq_issue': ISSUE,
  'block:block_rq_merge': ISSUE,
  'block:block_rq_complete': COMPLETE,
  'block:block_rq_requeue': COMPLETE,
};

function issued({ ints: { dev, nr_sector, bytes }, texts: { rwbs }, exact }: RawEvent): string {
  return `${dev >>> 20},${dev & 0xfffff} ${rwbs} ${bytes} () ${exact.sector} + ${nr_sector} `;
}

/** A flush completes with sector 2^64 - 1. */
function completed({ ints: { dev, nr_sector }, texts: { rwbs }, exact }: RawEvent): string {
  return `${dev >>> 20},${dev & 0xfffff} ${rwbs} () ${exact.sector} + ${nr_sector} `;
}

describe('raw pages and text', () => {
  let instance: Instance | undefined;
  const text = new Map<number, string[]>();
  let raw = new Map<number, RawEvent[]>();

  before(() => {
    instance = createInstance(TRACEFS, `lab-text-${process.pid}`);
    instance.prepare({ bufferBytesPerCpu: 8 << 20, subbufferBytes: 4096, clock: 'mono' });
    instance.enable(Object.keys(EVENTS));
    instance.start();
    nodeOn(
      0,
      `for (let i = 0; i < 200; i++) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)`,
    );
    execFileSync('sh', ['-c', 'for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true 2>/dev/null; done']);
    diskIo(60);
    // Through the page cache, so that requests are gathered and merged.
    execFileSync('dd', ['if=/dev/zero', 'of=/dev/vda', 'bs=4k', 'count=64', 'conv=fsync', 'status=none']);
    instance.stop();
    for (let cpu = 0; cpu < instance.cpuCount; cpu++) {
      const file = join(instance.dir, 'per_cpu', `cpu${cpu}`, 'trace');
      const lines = readFileSync(file, 'utf8').split('\n');
      text.set(
        cpu,
        lines.filter((line) => line !== '' && !line.startsWith('#')),
      );
    }
    raw = readRawEvents(instance.dir, EVENTS);
  });
  after(() => instance?.remove());

  it('have the same events, in the same order, by the same tasks, at the same time', (t) => {
    let compared = 0;
    for (const [cpu, lines] of text) {
      const events = raw.get(cpu) ?? [];
      const heads = lines.map(headOfLine);
      const differs = heads.findIndex(
        (head, i) => events[i] === undefined || head !== headOfEvent(events[i]),
      );
      assert.equal(differs, -1, `CPU ${cpu}: ${lines[differs]} is ${JSON.stringify(events[differs])}`);
      assert.equal(events.length, heads.length);
      compared += heads.length;
    }
    assert.ok(compared > 2000, `only ${compared} events`);
    t.diagnostic(`${compared} events`);
  });

  it('have the same fields', (t) => {
    const compared = new Map<string, number>();
    for (const [cpu, lines] of text) {
      lines.forEach((line, i) => {
        const event = (raw.get(cpu) ?? [])[i];
        for (const part of partsOf(event)) {
          const isThere = typeof part === 'string' ? line.includes(part) : part.test(line);
          assert.ok(isThere, `${part} is not in: ${line}`);
        }
        compared.set(event.name, (compared.get(event.name) ?? 0) + 1);
      });
    }
    t.diagnostic([...compared].map(([name, count]) => `${name} ${count}`).join(', '));
    // Events that the workload cannot force are rare; these must have come.
    const sure = ['sched_switch', 'sched_wakeup', 'sched_waking', 'sched_process_exec', 'sched_process_exit'];
    const often = ['irq_handler_entry', 'softirq_entry', 'sys_enter', 'sys_exit', 'local_timer_entry'];
    const disk = ['block_rq_issue', 'block_rq_complete', 'sys_enter_dup2', 'sys_exit_dup2'];
    for (const name of [...sure, ...often, ...disk])
      assert.ok((compared.get(name) ?? 0) >= 10, `${name}: ${compared.get(name)}`);
  });

  it('are as many as the kernel counts', () => {
    assert.ok(instance);
    for (const [cpu, events] of raw) {
      const { readEvents, entries, overrun } = instance.stats(cpu);
      assert.deepEqual([readEvents, entries, overrun], [events.length, 0, 0]);
    }
  });
});

function definitionOf({ name }: RawEvent): Event {
  const entry = Object.entries(EVENTS).find(([event]) => event.split(':')[1] === name);
  assert.ok(entry, name);
  return entry[1];
}

function partsOf(event: RawEvent): (string | RegExp)[] {
  const { print } = definitionOf(event);
  return print === undefined
    ? Object.entries({ ...event.ints, ...event.texts }).map(printed)
    : [print(event)];
}

/** `NAME=VALUE`; numbers may have leading zeroes (`target_cpu=001`). */
function printed([name, value]: [string, number | string]): string | RegExp {
  return typeof value === 'string' ? `${name}=${value}` : new RegExp(`\\b${name}=0*${value}\\b`);
}

/** Name, pid and time stamp. */
function headOfLine(line: string): string {
  const { pid, micros, body } = lineOf(line);
  return `${/^\w+/.exec(body)?.[0]} ${pid} ${micros}`;
}

function headOfEvent(event: RawEvent): string {
  const name = definitionOf(event).head ?? event.name;
  return `${name} ${event.pid} ${microsOf(event.timestampNs)}`;
}
