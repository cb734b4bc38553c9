/**
 * Records the running kernel for a moment and reads the file with trace-cmd and with the agent's reader: both must
 * count the same events, and trace-cmd must not complain. Needs root, tracefs and trace-cmd.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { machine, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { loadPage, makePage } from '../../src/decode/page.ts';
import type { BufferStats, TraceMetadata } from '../../src/model/source.ts';
import { parseCpuStats } from '../../src/tracedat/cpu-stats.ts';
import { headerPageText, parseHeaderPage } from '../../src/tracedat/header-page.ts';
import { openCapture } from '../../src/tracedat/read.ts';
import { HEADER_EVENT } from '../../src/tracedat/trace-dat.ts';
import { openCaptureWriter } from '../../src/tracedat/write.ts';
import { skipWithout } from '../support/tools.ts';

const skip = skipWithout('trace-cmd', 'trace-cmd');

const TRACING = '/sys/kernel/tracing';
const EVENTS = [
  'sched:sched_switch',
  'sched:sched_wakeup',
  'sched:sched_process_exec',
  'raw_syscalls:sys_enter',
  'syscalls:sys_enter_openat',
  'irq:softirq_entry',
  'block:block_rq_issue',
];
const dir = mkdtempSync(join(tmpdir(), 'capture-live-'));
after(() => rmSync(dir, { recursive: true }));

interface Recording {
  path: string;
  stats: BufferStats[];
  pages: number;
}

/** Records the events of a shell, with sub-buffers of this size. */
function record(name: string, subbufferKb: number): Recording {
  const instance = join(TRACING, 'instances', `ftrace-exporter-test-${process.pid}-${name}`);
  const put = (file: string, value: string) => writeFileSync(join(instance, file), value);
  mkdirSync(instance);
  try {
    put('tracing_on', '0');
    put('buffer_size_kb', '4096');
    put('buffer_subbuf_size_kb', String(subbufferKb));
    put('trace_clock', 'mono');
    // Events of other programs could be more than the buffer holds.
    put('options/event-fork', '1');
    put('set_event_pid', String(process.pid));
    for (const event of EVENTS) put(join('events', event.replace(':', '/'), 'enable'), '1');
    put('tracing_on', '1');
    put('trace_marker', 'ftrace-exporter: a marker\n');
    for (let i = 0; i < 5; i++)
      execFileSync('sh', ['-c', 'for i in 1 2 3; do ls / >/dev/null; done; sync -f /tmp']);
    put('tracing_on', '0');
    return collect(instance, join(dir, `${name}.dat`));
  } finally {
    rmdirSync(instance);
  }
}

function collect(instance: string, path: string): Recording {
  const cpus = [
    ...readFileSync('/sys/devices/system/cpu/online', 'utf8').matchAll(/(\d+)(?:-(\d+))?/g),
  ].flatMap(([, from, to = from]) => Array.from({ length: +to - +from + 1 }, (_, i) => +from + i));
  const metadata = metadataOf(headerPage(instance), Math.max(...cpus) + 1);
  const { layout } = metadata;
  const writer = openCaptureWriter(path, { metadata, events: EVENTS });
  let pages = 0;
  for (const cpu of cpus) {
    const page = makePage(layout);
    const file = join(instance, 'per_cpu', `cpu${cpu}`, 'trace_pipe_raw');
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      for (let read = readPage(fd, page.bytes); read > 0; read = readPage(fd, page.bytes)) {
        assert.equal(loadPage(page, layout, read), undefined);
        writer.addPage(cpu, page.bytes.subarray(0, read));
        pages++;
      }
    } finally {
      closeSync(fd);
    }
  }
  const stats = cpus.map((cpu) => {
    const text = readFileSync(join(instance, 'per_cpu', `cpu${cpu}`, 'stats'), 'utf8');
    const parsed = parseCpuStats(`CPU: ${cpu}\n${text}`);
    assert.ok(parsed);
    return parsed;
  });
  writer.finish({ stats, cmdlines: readFileSync(join(TRACING, 'saved_cmdlines'), 'utf8') });
  return { path, stats, pages };
}

/** `events/header_page` of the instance or, on kernels that do not have it there, of the top level. */
function headerPage(instance: string): string {
  const own = join(instance, 'events/header_page');
  return existsSync(own) ? own : join(TRACING, 'events/header_page');
}

function metadataOf(headerPageFile: string, cpuCount: number): TraceMetadata {
  const layout = parseHeaderPage(readFileSync(headerPageFile, 'utf8'));
  assert.ok(!('error' in layout), JSON.stringify(layout));
  return {
    layout,
    clock: 'mono',
    machine: machine(),
    kernelRelease: release(),
    cpuCount,
    events: () => EVENTS,
    formatText: (event) => {
      const file = join(TRACING, 'events', event.replace(':', '/'), 'format');
      return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
    },
  };
}

function readPage(fd: number, into: Uint8Array): number {
  try {
    return readSync(fd, into);
  } catch (error) {
    if ((error as { code?: string }).code === 'EAGAIN') return 0;
    throw error;
  }
}

function report(path: string, ...options: string[]): string[] {
  const { status, stdout, stderr, error } = spawnSync('trace-cmd', ['report', ...options, '-i', path], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  assert.equal(error, undefined);
  assert.equal(stderr, '', 'trace-cmd complains');
  assert.equal(status, 0);
  return stdout.split('\n').filter((line) => line !== '');
}

describe('a capture of this kernel', () => {
  for (const subbufferKb of [4, 64]) {
    describe(`with sub-buffers of ${subbufferKb} KiB`, () => {
      const recording = record(`sub${subbufferKb}`, subbufferKb);
      const read = recording.stats.reduce((sum, { readEvents }) => sum + readEvents, 0);

      it('has recorded something, and lost nothing', () => {
        assert.ok(read > 500, `${read} events`);
        for (const { overrun, entries } of recording.stats) assert.deepEqual([overrun, entries], [0, 0]);
      });

      it('reads back whole', () => {
        const capture = openCapture(recording.path);
        assert.deepEqual(capture.problems, []);
        assert.equal(capture.metadata.layout.pageSize, subbufferKb * 1024);
        assert.deepEqual(capture.stats, recording.stats);
        assert.deepEqual(capture.metadata.kernelRelease, release());
        const page = makePage(capture.metadata.layout);
        let pages = 0;
        for (const cpu of capture.source.cpus()) {
          for (;;) {
            const length = capture.source.readPage(cpu, page.bytes);
            if (length === 0) break;
            assert.equal(loadPage(page, capture.metadata.layout, length), undefined);
            pages++;
          }
        }
        assert.equal(pages, recording.pages);
        capture.close();
      });

      it('is read by trace-cmd without a word, event for event', { skip }, () => {
        const lines = report(recording.path);
        const events = lines.filter((line) => /^\s*.+-\d+\s+\[\d+\]/.test(line));
        assert.equal(events.length, read);
        assert.deepEqual(
          lines.filter((line) => !events.includes(line)),
          [`cpus=${recording.stats.length}`],
        );
        assert.ok(!events.some((line) => /UNKNOWN|FAILED TO PARSE|\[FAILED/i.test(line)));
        assert.equal(events.filter((line) => line.includes('ftrace-exporter: a marker')).length, 1);
      });
    });
  }

  it('is read by trace-cmd when it has no pages, no names and all records of tracers', { skip }, () => {
    const path = join(dir, 'bare.dat');
    const formats = readdirSync(join(TRACING, 'events/ftrace'), { withFileTypes: true });
    const writer = openCaptureWriter(path, {
      metadata: metadataOf(join(TRACING, 'events/header_page'), 2),
      events: EVENTS,
      ftraceFormats: formats.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])),
    });
    writer.finish({ stats: [] });
    assert.deepEqual(
      report(path).filter((line) => !line.endsWith(' is empty')),
      ['cpus=2'],
    );
  });

  it('describes pages and events as this kernel does', () => {
    const text = readFileSync(join(TRACING, 'events/header_page'), 'utf8');
    const layout = parseHeaderPage(text);
    assert.ok(!('error' in layout));
    assert.equal(headerPageText(layout), text);
    assert.equal(readFileSync(join(TRACING, 'events/header_event'), 'utf8'), HEADER_EVENT);
  });
});
