/**
 * Makes the recordings that tests and the demo replay: `node test/support/record-capture.ts NAME OUT` records a small
 * load on the running kernel. Needs root.
 *
 * The recordings are published, so they may contain only the names of the load's tasks and of the kernel's. Filters
 * drop most events of other tasks. In the remaining events (a task that was switched out or interrupted), the names of
 * other tasks are replaced. Pages that the kernel returned in parts are joined.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { makeDispatcher } from '../../src/decode/dispatch.ts';
import { bytesReader } from '../../src/decode/fields.ts';
import { parseFormat } from '../../src/decode/format.ts';
import { Merger } from '../../src/decode/merge.ts';
import { lastStamp, type Page } from '../../src/decode/page.ts';
import type { PageLayout } from '../../src/model/format.ts';
import type { EventRecord } from '../../src/model/record.ts';
import { openCapture } from '../../src/tracedat/read.ts';
import { openCaptureWriter } from '../../src/tracedat/write.ts';
import { findTracefs } from '../../src/tracefs/mount.ts';

const BIN = fileURLToPath(new URL('../../bin/ftrace-exporter.js', import.meta.url));
/** Prefix of the names of the load's programs. */
const OURS = 'demo-';
const STAND_IN = 'other';
/** Names of the kernel's own tasks. */
const KERNEL =
  /^(?:swapper|kworker|ksoftirqd|rcu_|rcuog|rcuop|migration|jbd2|loop\d|kthreadd|kcompactd|irq\/|cpuhp)/;

const ALL = '--probe syscalls';
const LOADS: Record<
  string,
  { duration: string; flags: string; script: string; config?: object; disk?: true }
> = {
  demo: {
    duration: '2s',
    flags: ALL,
    script: `while :; do
      demo-dd if=/dev/zero of="$DIR/f" bs=64k count=8 conv=fsync status=none
      demo-cat "$DIR/f" | demo-wc -c
      demo-cat /nonexistent
      demo-sleep 0.4
    done`,
  },
  mixed: {
    duration: '1s',
    flags: ALL,
    script: `demo-dd if=/dev/zero of="$DIR/f" bs=64k count=4 conv=fsync status=none
      demo-cat "$DIR/f" | demo-wc -c; demo-cat /nonexistent; demo-sleep 0.2; :`,
  },
  disk: {
    duration: '1s',
    flags: '--no-probe sched --no-probe softirq',
    disk: true,
    script: `demo-dd if=/dev/zero of=$DISK bs=16k count=40 oflag=direct conv=fsync status=none
      demo-dd if=/dev/zero of=$DISK bs=4M count=2 oflag=direct status=none
      demo-dd if=$DISK of=/dev/null bs=64k count=20 iflag=direct status=none
      demo-dd if=/dev/zero of=$DISK bs=4k count=10 oflag=direct,sync status=none; :`,
  },
  lossy: {
    duration: '500ms',
    flags: '--probe syscalls --no-probe irq --no-probe softirq --no-probe block --no-probe sched',
    config: { buffer: { per_cpu: '64KiB' } },
    script: 'demo-dd if=/dev/zero of=/dev/null bs=1 count=12000 status=none; :',
  },
};

/** Event filters that drop events of other tasks. */
const FILTERS: Record<string, string> = {
  'sched/sched_switch': `prev_comm ~ "${OURS}*" || next_comm ~ "${OURS}*"`,
  'sched/sched_wakeup': `comm ~ "${OURS}*"`,
  'sched/sched_wakeup_new': `comm ~ "${OURS}*"`,
  'sched/sched_migrate_task': `comm ~ "${OURS}*"`,
  'sched/sched_process_exit': `comm ~ "${OURS}*"`,
  'sched/sched_process_exec': `COMM ~ "${OURS}*"`,
  'raw_syscalls/sys_enter': `COMM ~ "${OURS}*"`,
  'raw_syscalls/sys_exit': `COMM ~ "${OURS}*"`,
};

const isOurs = (comm: string) => comm === '' || comm.startsWith(OURS) || KERNEL.test(comm);

async function record(name: string, out: string): Promise<void> {
  const load = LOADS[name];
  if (load === undefined)
    throw new Error(`there is no load ${name}; there are ${Object.keys(LOADS).join(', ')}`);
  const directory = mkdtempSync(join(tmpdir(), 'demo-'));
  const children: ChildProcess[] = [];
  let ended: Promise<unknown> | undefined;
  let disk = '';
  try {
    for (const program of ['sh', 'dd', 'cat', 'wc', 'sleep'])
      symlinkSync(
        execFileSync('which', [program], { encoding: 'utf8' }).trim(),
        join(directory, `${OURS}${program}`),
      );
    if (load.disk) {
      execFileSync('truncate', ['--size=16M', join(directory, 'disk')]);
      disk = execFileSync('losetup', ['--find', '--show', join(directory, 'disk')], {
        encoding: 'utf8',
      }).trim();
    }
    const instance = `ftx-capture-${process.pid}`;
    const config = {
      instance,
      ...load.config,
      ...(load.disk ? { probes: { block: { devices: [basename(disk)] } } } : {}),
    };
    writeFileSync(join(directory, 'config'), JSON.stringify(config));
    const raw = join(directory, 'raw.dat');
    const args = [
      'record',
      '-o',
      raw,
      '--duration',
      load.duration,
      '--config.file',
      join(directory, 'config'),
    ];
    const recorder = spawn(process.execPath, [BIN, ...args, ...load.flags.split(' ')], { stdio: 'inherit' });
    children.push(recorder);
    ended = new Promise((resolve) => recorder.once('exit', resolve));
    const dir = join(findTracefs({ mayMount: true }), 'instances', `${instance}-record`);
    const last = Object.keys(FILTERS).at(-1) ?? '';
    while (!existsSync(join(dir, 'events', last, 'filter'))) await sleep(1);
    for (const [event, filter] of Object.entries(FILTERS))
      writeFileSync(join(dir, 'events', event, 'filter'), filter);
    await sleep(150);
    children.push(
      spawn(join(directory, `${OURS}sh`), ['-c', load.script], {
        env: { PATH: directory, DIR: directory, DISK: disk },
        stdio: 'ignore',
      }),
    );
    await ended;
    publish(raw, out);
  } finally {
    for (const child of children) child.kill('SIGTERM');
    await ended;
    if (disk !== '') execFileSync('losetup', ['--detach', disk]);
    rmSync(directory, { recursive: true });
  }
}

/** Copies a recording page by page, and replaces the names of tasks that are neither the load's nor the kernel's. */
function publish(from: string, to: string): void {
  const capture = openCapture(from);
  const { metadata, source } = capture;
  const { layout } = metadata;
  // Cut off the suffix that the builder of the kernel added.
  const kernelRelease = metadata.kernelRelease.replace(/-.*/, '');
  const events = [...metadata.events()];
  const taskNames = new Set<string>();
  const types = [...events, 'ftrace:print'].flatMap((event) => {
    const text = metadata.formatText(event);
    const format = text === undefined ? undefined : parseFormat(event.split(':')[0], text);
    if (format === undefined || 'error' in format) return [];
    const names = format.fields.filter((field) => /comm$/.test(field.name) && field.array);
    const readers = names.map((field) => bytesReader(format, field.name));
    const handler = (record: EventRecord) => {
      for (const reader of readers) {
        const [start, end] = [reader.start(record), reader.end(record)];
        const comm = Buffer.from(record.bytes.subarray(start, end)).toString('latin1');
        taskNames.add(isOurs(comm) ? comm : STAND_IN);
        if (!isOurs(comm))
          record.bytes.fill(0, start, end).set(Buffer.from(STAND_IN.slice(0, end - start)), start);
      }
    };
    return [{ id: format.id, handler, minLength: 0 }];
  });
  const fail = (cpu: number, error: string) => {
    throw new Error(`CPU ${cpu}: ${error}`);
  };
  const target = { dispatcher: makeDispatcher(types), onLoss: () => undefined, onError: fail };
  const writer = openCaptureWriter(to, { metadata: { ...metadata, kernelRelease }, events });
  for (const cpu of source.cpus()) {
    let held: Page | undefined;
    for (;;) {
      // Use one merger per page, because the handlers replace names in the page's bytes before the page is written.
      const merger = new Merger(layout, target);
      const page = merger.takePage();
      const length = source.readPage(cpu, page.bytes);
      if (length === 0) break;
      merger.add(cpu, page, length);
      merger.run(Number.POSITIVE_INFINITY);
      // The bytes after the last event, or after the count of lost events, are left from other pages.
      page.bytes.fill(0, page.lost ? page.end + layout.commitSize : page.end);
      if (held !== undefined && joined(held, page, layout)) continue;
      if (held !== undefined) writer.addPage(cpu, held.bytes);
      held = page;
    }
    if (held !== undefined) writer.addPage(cpu, held.bytes);
  }
  writer.finish({ stats: capture.stats, cmdlines: '' });
  capture.close();
  console.log(`${to}: tasks by name: ${[...taskNames].sort().join(' ')}`);
}

/**
 * If the kernel returned a page before it was full, it returned the rest as another page. Appends such a rest to the
 * first page and returns true.
 */
function joined(first: Page, rest: Page, layout: PageLayout): boolean {
  const bytes = rest.end - layout.dataOffset;
  if (first.lost || rest.lost || first.end + bytes > layout.pageSize) return false;
  if (rest.timestampNs !== lastStamp(first, layout)) return false;
  first.bytes.set(rest.bytes.subarray(layout.dataOffset, rest.end), first.end);
  first.end += bytes;
  new DataView(first.bytes.buffer).setUint32(layout.commitOffset, first.end - layout.dataOffset, true);
  return true;
}

const [name, out] = process.argv.slice(2);
if (out === undefined) throw new Error(`usage: record-capture.ts ${Object.keys(LOADS).join('|')} OUT`);
await record(name, out);
