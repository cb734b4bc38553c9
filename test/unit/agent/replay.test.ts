/** Replays of recordings made by other tools: clocks, losses and damaged files, as the metrics show them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { openReplay } from '../../../src/agent/replay/replay.ts';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import { parseExposition } from '../../support/exposition.ts';
import { pageOf } from '../../support/pages.ts';
import { replayed } from '../../support/replayed.ts';
import { type FileParts, le, traceDat7 } from '../capture/trace-dat-v7.ts';

const dir = mkdtempSync(join(tmpdir(), 'replay-test-'));
after(() => rmSync(dir, { recursive: true }));

const EVENTS = ['raw_syscalls:sys_enter', 'raw_syscalls:sys_exit', 'sched:sched_process_exit'];
const [ENTER, EXIT] = [443, 442];
const GETPPID = 110;

/** A record of `raw_syscalls:sys_enter` or `sys_exit`. */
function syscall(ts: number, type: number, pid: number): { ts: number; type: number; body: Uint8Array } {
  const rest = Buffer.alloc(type === ENTER ? 48 : 8);
  return { ts, type, body: Buffer.concat([le(pid, 4), le(GETPPID, 8), rest]) };
}

/** Start and end events of `count` calls of a task, each 100 units of time long. The first begins at `from`. */
function calls(from: number, count: number, pid = 7) {
  return Array.from({ length: count }, (_, i) => [
    syscall(from + i * 1000, ENTER, pid),
    syscall(from + i * 1000 + 100, EXIT, pid),
  ]).flat();
}

function replay(parts: FileParts, spoil: (bytes: Buffer) => void = () => {}) {
  const file = join(dir, 'replayed.dat');
  const bytes = traceDat7({
    events: EVENTS,
    ...parts,
    options: [[5, 'Linux h 6.18.0 x86_64'], ...(parts.options ?? [])],
  });
  spoil(bytes);
  writeFileSync(file, bytes);
  const lines: string[] = [];
  const progress: number[][] = [];
  const write = (_: unknown, message: string) => lines.push(message);
  const config = loadAgentConfig({
    file: undefined,
    env: {},
    flags: {},
    probes: [{ name: 'syscalls', on: true }],
  });
  const capture = openReplay(config, file, {
    log: { debug: write, info: write, warn: write, error: write },
    onProgress: (...at) => progress.push(at),
  });
  const text = createRenderer({ constantLabels: {} })
    .render([capture.snapshot({})], 'text')
    .toString('utf8');
  const samples = parseExposition(text);
  const value = (name: string, labels: Record<string, string> = {}) => {
    const matches = samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([label, is]) => sample.labels[label] === is),
    );
    return matches.length === 0 ? undefined : Number(matches[0].value);
  };
  return { value, text, log: lines.join('\n'), progress, status: capture.status() };
}

const COUNT = 'ftrace_syscall_duration_seconds_count';
const SUM = 'ftrace_syscall_duration_seconds_sum';
const lost = { probe: 'syscalls', reason: 'lost' };

describe('a replay', () => {
  it('gives nanoseconds if the clock counts nanoseconds, and reports how far it is', () => {
    const pages = [pageOf(calls(1e9, 10)), pageOf(calls(2e9, 10))];
    const { value, status, progress } = replay({ buffers: [{ clock: 'mono', pages: { 0: pages } }] });
    assert.equal(value(COUNT, { syscall: 'getppid' }), 20);
    assert.equal(value(SUM), (20 * 100) / 1e9);
    assert.deepEqual(status.warnings, []);
    assert.equal(status.clock, 'mono');
    assert.deepEqual(progress, [
      [1, 2],
      [2, 2],
    ]);
  });

  it("converts the processor's counter", () => {
    const { value, status } = replay({
      buffers: [{ pages: { 0: [pageOf(calls(1e9, 10))] } }],
      options: [
        [4, 'local [x86-tsc]'],
        [14, Buffer.concat([le(1 << 20, 4), le(22, 4), le(0, 8)])],
      ],
    });
    assert.equal(value(COUNT), 10);
    assert.equal(value(SUM), (10 * 25) / 1e9);
    assert.deepEqual(status.warnings, []);
  });

  it('discards pairs across a loss with converted stamps too', () => {
    const pages = [pageOf([syscall(4e9, ENTER, 7)]), pageOf([syscall(5e9, EXIT, 7)], { lost: true })];
    const { value } = replay({
      buffers: [{ pages: { 0: pages } }],
      options: [
        [4, 'local [x86-tsc]'],
        [14, Buffer.concat([le(1, 4), le(2, 4), le(0, 8)])],
      ],
    });
    assert.equal(value(COUNT) ?? 0, 0);
    assert.equal(value('ftrace_exporter_unmatched_total', lost), 1);
  });

  it('gives only counts if the clock does not count nanoseconds', () => {
    const failure = [syscall(20_000, ENTER, 7), syscall(20_001, EXIT, 7)];
    failure[1].body.set([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 12);
    const { text, log, value } = replay({
      buffers: [{ pages: { 0: [pageOf([...calls(1, 9), ...failure])] } }],
      options: [[4, '[counter]']],
    });
    assert.doesNotMatch(text, /^ftrace_(?!exporter_)\w*seconds/m);
    assert.equal(value('ftrace_syscall_errors_total', { syscall: 'getppid', errno: 'ENOENT' }), 1);
    assert.equal(value('ftrace_exporter_events_read_total', { cpu: '0' }), 20);
    assert.match(log, /clock counter are not nanoseconds: events are counted/);
  });

  it('counts losses that pages report, if the file has no counts', () => {
    const pages = [pageOf(calls(1e9, 1)), pageOf(calls(2e9, 1), { lost: true, lostCount: 12 })];
    const { value, log, status } = replay({ buffers: [{ pages: { 1: pages } }] });
    assert.equal(value('ftrace_exporter_events_lost_total', { cpu: '1', reason: 'overrun' }), 12);
    assert.equal(status.loss[0].overrun, 12);
    assert.match(log, /CPU 1: 12 events were lost/);
    assert.match(status.warnings.join(), /CPU 1: 12 events were lost/);
  });

  it('has no durations from where the pages of a CPU are missing', () => {
    // The pages of CPU 0 end at 2e9. The tasks of calls that end later may also have been on CPU 0.
    const zero = [pageOf(calls(1e9, 5)), pageOf(calls(1.9e9, 5)), pageOf(calls(9e9, 5))];
    const one = [pageOf(calls(1e9, 3, 8)), pageOf([...calls(5e9, 4, 8)])];
    const spoil = (bytes: Buffer) => bytes.fill(0x55, lastChunk(bytes), lastChunk(bytes) + 8);
    const parts: FileParts = {
      compression: 'zstd',
      pagesPerChunk: 1,
      buffers: [{ pages: { 1: one, 0: zero } }],
    };
    const whole = replay(parts);
    assert.equal(whole.value(COUNT), 22);
    const { value, log, status } = replay(parts, spoil);
    assert.equal(value(COUNT), 13);
    assert.equal(value('ftrace_exporter_unmatched_total', lost), 4);
    assert.equal(value('ftrace_exporter_events_read_total', { cpu: '1' }), 14);
    assert.match(log, /CPU 0: the chunk at byte \d+ with pages 3 to 3 of 3/);
    assert.match(status.warnings.join('\n'), /CPU 0: the end of its recording is missing/);
  });

  it('names the page that cannot be decoded', () => {
    const bad = pageOf(calls(1e9, 5));
    // Write an event whose length, in the next word, is impossible.
    bad.fill(0, 16, 20).fill(0x7f, 20, 24);
    const { value, log } = replay({ buffers: [{ pages: { 2: [pageOf(calls(1e8, 5)), bad] } }] });
    assert.equal(value('ftrace_exporter_decode_errors_total', { reason: 'event_past_end' }), 1);
    assert.match(log, /CPU 2: page 2 of 2, byte \d+: the rest of this page can't be decoded/);
  });

  it('treats a page of zeros as a loss, and names its place', () => {
    const file = join(import.meta.dirname, '../../fixtures/captures/zero-page.dat');
    const { value, warnings } = replayed(file, ['sched']);
    assert.equal(value('ftrace_exporter_decode_errors_total'), 1);
    assert.equal(value('ftrace_sched_runqueue_latency_seconds_count'), 0);
    assert.equal(value('ftrace_exporter_unmatched_total', { probe: 'sched', reason: 'lost' }), 1);
    assert.match(
      warnings.join('\n'),
      /CPU 0: page 2 of 3, byte 8192: the rest of this page can't be decoded/,
    );
  });

  it('names syscalls as the recorded machine does, or not at all', () => {
    const named = (machine: string) => {
      const options: FileParts['options'] = [[5, `Linux h 4.9.0 ${machine}`]];
      return replay({ options, buffers: [{ pages: { 0: [pageOf(calls(1e9, 3))] } }] });
    };
    assert.equal(named('x86_64').value(COUNT, { syscall: 'getppid' }), 3);
    assert.equal(named('ppc64le').value(COUNT, { syscall: 'iopl' }), 3);
    // 32-bit ARM has no syscall with this number.
    assert.equal(named('armv7l').value(COUNT, { syscall: 'unknown' }), 3);
    assert.deepEqual(named('armv7l').status.warnings, []);
    const sparc = named('sparc64');
    assert.equal(sparc.value(COUNT, { syscall: 'unknown' }), 3);
    assert.match(
      sparc.status.warnings[0],
      /ftrace-exporter has no syscall names for the machine sparc64: all syscalls are labelled syscall="unknown"/,
    );
  });

  it('says which probes a recording has no events for', () => {
    const { log, value } = replay({ buffers: [{ pages: { 0: [pageOf(calls(1, 1))] } }] });
    assert.match(log, /probe is off/);
    const { off } = replayed(join(dir, 'replayed.dat'), ['timerlat', 'irq', 'block', 'sched']);
    for (const reason of Object.values(off)) assert.match(reason, /^this recording has no/);
    assert.ok(Object.keys(off).includes('irq'));
    assert.equal(value('ftrace_exporter_probe_up', { probe: 'irq' }), 0);
  });
});

/** Offset of the compressed content of CPU 0's last chunk. */
function lastChunk(bytes: Buffer): number {
  const magic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
  const offsets: number[] = [];
  for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 1)) offsets.push(at);
  // Four sections come before the pages (layout, two of formats, kallsyms), then three of CPU 0 and two of CPU 1.
  return offsets[4 + 2];
}
