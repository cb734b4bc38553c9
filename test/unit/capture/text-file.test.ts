import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseFormat } from '../../../src/decode/format.ts';
import { switchedOutMask } from '../../../src/decode/print-fmt.ts';
import { KNOWN_EVENTS, makeKnownFormats } from '../../../src/decode/text/known-formats.ts';
import { textProblem } from '../../../src/decode/text/line-types.ts';
import { looksLikeTraceText, openTextTrace, type TextTrace } from '../../../src/tracetext/text-file.ts';
import { decodeText, formatOf, lineOf } from '../decode/text/support.ts';

const directory = mkdtempSync(join(tmpdir(), 'ftx-text-file-'));
after(() => rmSync(directory, { recursive: true, force: true }));

function fileOf(text: string | Uint8Array): string {
  const file = join(directory, 'trace.txt');
  writeFileSync(file, text);
  return file;
}
const opened = (text: string | Uint8Array) => openTextTrace(fileOf(text));
const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));

/** All text, read in small pieces. */
function textOf(trace: TextTrace): Buffer {
  const pieces: Buffer[] = [];
  const piece = new Uint8Array(1000);
  for (let length = trace.source.readText(piece); length > 0; length = trace.source.readText(piece)) {
    pieces.push(Buffer.from(piece.subarray(0, length)));
  }
  return Buffer.concat(pieces);
}

function knownType(event: string, fields: readonly string[]) {
  const format = parseFormat(event.split(':')[0], makeKnownFormats()(event) ?? '');
  assert.ok(!('error' in format), event);
  return { event, format, fields };
}

it('a heading of latency-format does not make a trace of a latency tracer', () => {
  const text = (tracer: string) =>
    `# tracer: ${tracer}\n# ${tracer} latency trace v1.1.5 on 6.12.0\n# latency: 0 us, #1/1, CPU#0\n 0)   1.234 us    |  vfs_read();\n`;
  const lengthOf = (tracer: string) => textOf(opened(text(tracer))).length;
  assert.deepEqual([lengthOf('function_graph') > 0, lengthOf('wakeup_rt')], [true, 0]);
});

describe('files of trace text', () => {
  it('are known by their lines, with headings or without', () => {
    for (const text of [
      `# tracer: nop\n#\n# entries-in-buffer/entries-written: 0/0   #P:2\n${lineOf('x: y')}`,
      lineOf('x: y'),
      ' 0)   1.500 us    |  vfs_read();\n',
      '# tracer: wakeup\n#\n# wakeup latency trace v1.1.5 on 6.12.95\n# latency: 4561 us, #105/105\n',
      `CPU:0 [LOST 5 EVENTS]\n${lineOf('x: y')}`,
    ]) {
      assert.ok(looksLikeTraceText(Buffer.from(text)), text);
    }
    for (const text of ['', '\n\n', '# tracer: nop\n', '\x17\x08Dtracing6\0', 'hello\nworld\n', ' 0) \n']) {
      assert.ok(!looksLikeTraceText(Buffer.from(text)), JSON.stringify(text));
      assert.throws(
        () => opened(text),
        /is empty|is neither a trace.dat file nor text of trace or trace_pipe/,
      );
    }
    assert.throws(() => openTextTrace('/no/such/file'), /ENOENT/);
  });

  it('return their text once, and say how far it was read', () => {
    const text = lineOf('sched_wakeup: comm=a pid=1 prio=1 target_cpu=001').repeat(100);
    const trace = opened(text);
    assert.deepEqual([trace.bytes, trace.bytesRead()], [text.length, 0]);
    assert.equal(textOf(trace).toString('latin1'), text);
    assert.equal(trace.bytesRead(), text.length);
    trace.close();
  });

  it('report CPUs, events and what was overwritten', () => {
    const trace = opened(
      '# tracer: function\n#\n# entries-in-buffer/entries-written: 5/12   #P:4\n#\n' +
        lineOf('sched_wakeup: comm=a pid=1 prio=1 target_cpu=001', { cpu: 3 }) +
        lineOf('sys_fsync(fd: 3)') +
        lineOf('sys_fsync -> 0x0') +
        lineOf('local_timer_entry: vector=236') +
        lineOf('foo_event: x') +
        lineOf('vfs_read <-ksys_read'),
    );
    assert.deepEqual([trace.tracer, trace.isGraph, trace.overwritten], ['function', false, 7]);
    assert.deepEqual([trace.cpus, trace.metadata.cpuCount], [[0, 3], 4]);
    assert.deepEqual(trace.metadata.events(), [
      'sched:sched_wakeup',
      'syscalls:sys_enter_fsync',
      'syscalls:sys_exit_fsync',
      'irq_vectors:local_timer_entry',
      'ftrace:function',
    ]);
    assert.deepEqual([trace.nsPerStamp, trace.problems], [1, []]);
    // Each known event has a format, even if the text does not contain the event.
    assert.ok(trace.metadata.formatText('sched:sched_switch'));
    assert.equal(trace.metadata.formatText('kmem:kmalloc'), undefined);
    trace.close();
  });

  it('recognize each tracer, by its headings or its lines', () => {
    for (const [name, tracer, event] of [
      ['tracers-6.1-rt/timerlat.txt', 'timerlat', 'ftrace:timerlat'],
      ['tracers-7.3-rt/osnoise.txt', 'osnoise', 'osnoise:sample_threshold'],
      ['tracers-6.12-rt/hwlat.txt', 'hwlat', 'ftrace:hwlat'],
      ['tracers-5.10-rt/function.txt', 'function', 'ftrace:function'],
      ['tracers-5.10-rt/function_graph.txt', 'function_graph', 'ftrace:funcgraph_exit'],
      ['text/7.3-rt.function_graph.txt', 'function_graph', 'ftrace:funcgraph_entry'],
      ['text/6.1-rt.blk.txt', 'nop', 'ftrace:blk'],
      ['text/7.3-rt.function.txt', 'nop', 'ftrace:function'],
    ] as const) {
      const trace = openTextTrace(fixture(name));
      assert.equal(trace.tracer, tracer, name);
      assert.ok(trace.metadata.events().includes(event), name);
      assert.deepEqual(
        trace.cpus.filter((cpu) => cpu > 1),
        [],
        name,
      );
      trace.close();
    }
  });

  it('say what they cannot give', () => {
    const plain = opened(lineOf('x: y').replace('12.345678', '   123456'));
    assert.equal(plain.nsPerStamp, undefined);
    assert.match(plain.problems[0], /does not measure time, so there are no durations/);
    const bare = openTextTrace(fixture('tracers-5.10-rt/function_graph.txt'));
    assert.match(bare.problems[0], /funcgraph-abstime was off/);
    const cut = opened(lineOf('x: y') + lineOf('x: y').trimEnd());
    // The decoder reports this at the line that cannot be read.
    assert.deepEqual(cut.problems, []);
    assert.match(cut.openEnd ?? '', /ends within line \d+, at byte \d+: the last \d+ bytes are ignored/);
    for (const trace of [plain, bare, cut]) trace.close();
  });

  it('of a latency tracer give its latency, and no text', () => {
    const trace = opened(
      '# tracer: wakeup\n#\n# wakeup latency trace v1.1.5 on 6.12.95+deb12-rt-amd64\n# -----\n# latency: 4561 us, #105/105, CPU#1 | (M:preempt_rt VP:0)\n  <idle>-0         1dNh5.    0us+:      0:120:R   + [001]      33: 98:R rcuc/1\n',
    );
    assert.deepEqual([trace.tracer, trace.latencyNs], ['wakeup', 4_561_000]);
    assert.equal(trace.metadata.kernelRelease, '6.12.95+deb12-rt-amd64');
    assert.equal(textOf(trace).length, 0);
    trace.close();
  });
});

describe('formats of events that are known', () => {
  it('can be parsed, have numbers of their own, and can be read from text', () => {
    const formatText = makeKnownFormats();
    const ids = new Map<number, string>();
    for (const event of [
      ...KNOWN_EVENTS,
      'syscalls:sys_enter_read',
      'syscalls:sys_exit_read',
      'irq_vectors:irq_work_entry',
    ]) {
      const format = parseFormat(event.split(':')[0], formatText(event) ?? '');
      assert.ok(!('error' in format), `${event}: ${'error' in format && format.error}`);
      assert.equal(`${format.system}:${format.name}`, event);
      assert.equal(ids.get(format.id), undefined, `${event} has the number of ${ids.get(format.id)}`);
      ids.set(format.id, event);
      const fields = format.fields.map(({ name }) => name);
      // The text does not contain the addresses of markers.
      const printed = fields.filter((name) => !(event === 'ftrace:print' && name === 'ip'));
      assert.equal(textProblem({ event, format, fields: printed }), undefined, event);
      for (const { name, type, offset, size } of format.fields) {
        const align = /\bchar\b/.test(type) && size > 4 ? 1 : size || 1;
        assert.equal(offset % align, 0, `${event}.${name}`);
      }
    }
    assert.equal(formatText('syscalls:sys_enter_'), undefined);
    assert.equal(formatText('nonsense'), undefined);
  });

  it('know which bits of prev_state are sleep', () => {
    assert.equal(switchedOutMask(knownType('sched:sched_switch', []).format), 0xff);
  });

  it('give the same as the kernels own, of the same text', () => {
    for (const kernel of ['5.10-rt', '6.1-rt', '6.12-rt', '7.3-rt']) {
      const own = KNOWN_EVENTS.filter((event) => !event.startsWith('ftrace:')).flatMap((event) => {
        const directory = `text/formats-${kernel}`;
        try {
          return [{ event, format: formatOf(directory, event) }];
        } catch {
          return [];
        }
      });
      assert.ok(own.length > 15);
      const text = openTextTrace(fixture(`text/${kernel}.events.txt`));
      const bytes = textOf(text);
      text.close();
      const fieldsOf = (event: string) =>
        // Leave out the error of block_rq_requeue, which is always 0 and missing in some formats.
        knownType(event, [])
          .format.fields.map(({ name }) => name)
          .filter(
            (name) =>
              !name.startsWith('common_') && !(event === 'block:block_rq_requeue' && name === 'error'),
          );
      const withOwn = own.map(({ event, format }) => ({ event, format, fields: fieldsOf(event) }));
      const withKnown = own.map(({ event }) => knownType(event, fieldsOf(event)));
      // Formats get their numbers when they are first requested, so request all of them before decoding.
      const [a, b] = [decodeText(bytes, withOwn), decodeText(bytes, withKnown)];
      assert.deepEqual(b.errors, []);
      assert.ok(a.calls.length > 300);
      assert.deepEqual(b.calls, a.calls);
    }
  });

  it('read both ways in which kernels print a request', () => {
    const type = knownType('block:block_rq_issue', ['dev', 'sector', 'nr_sector', 'rwbs', 'bytes']);
    const done = knownType('block:block_rq_complete', ['sector', 'nr_sector', 'error']);
    const text = [
      'block_rq_issue: 254,3 WS 4096 () 8 + 8 [dd]',
      'block_rq_issue: 254,3 WS 4096 () 16 + 8 be,0,4 [dd]',
      'block_rq_complete: 254,3 WS () 18446744073709551615 + 0 [0]',
      'block_rq_complete: 254,3 WS () 8 + 8 none,0,0 [-5]',
    ].map((one) => lineOf(one));
    const { calls, errors } = decodeText(text.join(''), [type, done]);
    assert.deepEqual(errors, []);
    assert.deepEqual(
      calls.map(({ fields }) => fields),
      [
        { dev: 254 * 2 ** 20 + 3, sector: 8, nr_sector: 8, rwbs: 'WS', bytes: 4096 },
        { dev: 254 * 2 ** 20 + 3, sector: 16, nr_sector: 8, rwbs: 'WS', bytes: 4096 },
        { sector: 2 ** 64, nr_sector: 0, error: 0 },
        { sector: 8, nr_sector: 8, error: -5 },
      ],
    );
  });
});
