/** Text of other kernels and tools, one file per kind: the agent must read it correctly, or refuse and name it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { UsageError } from '../../../src/model/errors.ts';
import { replayed } from '../../support/replayed.ts';

const directory = mkdtempSync(join(tmpdir(), 'foreign-text-'));
after(() => rmSync(directory, { recursive: true }));

const fixture = (name: string) =>
  fileURLToPath(new URL(`../../fixtures/text/foreign/${name}.txt`, import.meta.url));
const textOf = (name: string) => readFileSync(fixture(name), 'latin1');
function fileOf(text: string | Uint8Array, name = 'trace.txt'): string {
  const file = join(directory, name);
  writeFileSync(file, text, 'latin1');
  return file;
}

const WAITS = 'ftrace_sched_runqueue_latency_seconds';
const EVENTS = 'ftrace_exporter_events_read_total';
const ERRORS = 'ftrace_exporter_decode_errors_total';
const UNMATCHED = 'ftrace_exporter_unmatched_total';
const close = (actual: number | undefined, expected: number) =>
  assert.ok(Math.abs((actual ?? Number.NaN) - expected) < 1e-12, `${actual}, not ${expected}`);

function waits(file: string, count: number, seconds: number, events: number): void {
  const { value, warnings } = replayed(file);
  assert.equal(value(`${WAITS}_count`), count);
  close(value(`${WAITS}_sum`), seconds);
  assert.equal(value(EVENTS), events);
  assert.equal(value(ERRORS), 0);
  assert.deepEqual(warnings, []);
}

describe('front parts of lines', () => {
  it('with the pid in 5 columns do not disappear in the text before them', () => {
    waits(fixture('pid-in-5-columns-marker'), 2, 20e-6, 6);
    const { value } = replayed(fixture('pid-in-5-columns-irq'));
    assert.equal(value(EVENTS), 4);
    assert.equal(value('ftrace_irq_duration_seconds_count', { handler: 'eth0' }), 2);
    close(value('ftrace_irq_duration_seconds_sum', { handler: 'eth0' }), 20e-6);
  });

  it('trimmed or indented, one line or all, are read', () => {
    waits(fixture('trimmed-by-one'), 2, 20e-6, 5);
    const text = textOf('trimmed-by-one');
    for (const change of [
      (line: string) => line.trimStart(),
      (line: string) => `    ${line}`,
      (line: string) => `\t${line}`,
      (line: string) => line.replace(/^ *(\S+-\d+) +/, '$1 '),
    ]) {
      waits(fileOf(text.replace(/^.+$/gm, change)), 2, 20e-6, 5);
    }
    const osnoise = replayed(fixture('osnoise-indented'), ['osnoise']);
    close(osnoise.value('ftrace_osnoise_noise_seconds_total', { cpu: '0' }), 234e-6);
    close(osnoise.value('ftrace_osnoise_noise_seconds_total', { cpu: '1' }), 281e-6);
  });

  it('after a line that nobody handles are lines', () => {
    const { value, warnings } = replayed(fixture('trimmed-and-unknown'));
    assert.equal(value(EVENTS), 4);
    assert.equal(value('ftrace_sched_wakeups_total'), 2);
    assert.deepEqual(warnings, []);
  });

  it('are read with line ends of Windows, a byte order mark, or both', () => {
    const text = textOf('trimmed-by-one').replaceAll('\n', '\r\n');
    waits(fileOf(text), 2, 20e-6, 5);
    waits(fileOf(`\xef\xbb\xbf${text}`), 2, 20e-6, 5);
    const timerlat = replayed(fileOf(textOf('timerlat-four-flags').replaceAll('\n', '\r\n')), ['timerlat']);
    assert.equal(timerlat.value('ftrace_timerlat_latency_seconds_count'), 8);
  });

  it('without flags, or with a thread group and a long name', () => {
    const { value } = replayed(fixture('no-flags'));
    assert.equal(value('ftrace_sched_switches_total', { kind: 'voluntary' }), 1);
    assert.equal(value('ftrace_sched_wakeups_total'), 1);
    const text = textOf('trimmed-by-one').replace(
      /(\S+)-(\d+) +\[/g,
      'com.example.a long-name:$1-$2 (-----) [',
    );
    waits(fileOf(text), 2, 20e-6, 5);
    waits(fileOf(text.replaceAll('(-----)', '(  598)')), 2, 20e-6, 5);
  });

  it('with latency-format, of any tracer', () => {
    const calls = replayed(fixture('function-latency-format'), ['function']);
    assert.equal(calls.value('ftrace_function_calls_total', { cpu: '3' }), 2);
    const heading = (tracer: string) =>
      `# tracer: ${tracer}\n#\n# ${tracer} latency trace v1.1.5 on 6.6.0\n# latency: 0 us, #4/4, CPU#0 | (M:preempt VP:0)\n#\n`;
    const osnoise = `   <...>-741     0....... 5690909us!: 1000000        234  99.97660      36     21      0   1001     22      3\n`;
    const noise = replayed(fileOf(heading('osnoise') + osnoise), ['osnoise']);
    close(noise.value('ftrace_osnoise_noise_seconds_total', { cpu: '0' }), 234e-6);
    const timerlat = '  <idle>-0       0d.h1.    5us : #1     context    irq timer_latency       932 ns\n';
    const late = replayed(fileOf(heading('timerlat') + timerlat), ['timerlat']);
    close(late.value('ftrace_timerlat_latency_seconds_sum'), 932e-9);
    const hwlat =
      '   <...>-3638    1d......    9us : #1     inner/outer(us):   12/14    ts:1499801089.066141940 count:1\n';
    const gaps = replayed(fileOf(heading('hwlat') + hwlat), ['hwlat']);
    close(gaps.value('ftrace_hwlat_latency_seconds_sum', { loop: 'outer' }), 14e-6);
    const blk =
      '      dd-81      1d..2.  100us :   8,0    Q  WS 0 + 8 [dd]\n      dd-81      1d..2.  150us+:   8,0    C  WS 0 + 8 [0]\n';
    const disk = replayed(fileOf(heading('blk') + blk), ['blk']);
    close(disk.value('ftrace_blk_queue_to_complete_seconds_sum'), 50e-6);
    const graph = ` 0)    cat-341     |  d..1. |   1.500 us    |  vfs_read();\n`;
    const tree = replayed(fileOf(heading('function_graph') + graph), ['function_graph']);
    close(tree.value('ftrace_function_duration_seconds_sum'), 1.5e-6);
  });

  it('of trace-cmd report, with its plugins or without', () => {
    waits(fixture('trace-cmd-report'), 1, 10e-6, 3);
    const { value } = replayed(fixture('trace-cmd-report'));
    assert.equal(value('ftrace_sched_switches_total', { kind: 'voluntary', cpu: '1' }), 1);
    const plugins = `cpus=6
CPU 3 is empty
       trace-cmd-1701  [001] d..2.    76.211513123: sched_switch:         trace-cmd:1701 [120] S ==> swapper/1:0 [120]
          <idle>-0     [002] dNh2.    76.211513500: sched_wakeup:         sh:1642 [120]<CANT FIND FIELD success> CPU:002
          <idle>-0     [002] d..2.    76.211523900: sched_switch:         swapper/2:0 [120] R ==> sh:1642 [120]
CPU:2 [7 EVENTS DROPPED]
              sh-1642  [002] .....    76.211623900: irq_handler_entry:    irq=19 name=eth0
              sh-1642  [002] .....    76.211624900: irq_handler_exit:     irq=19 ret=handled
`;
    const second = replayed(fileOf(plugins));
    assert.equal(second.value(`${WAITS}_count`), 1);
    close(second.value(`${WAITS}_sum`), 10e-6);
    assert.equal(second.value('ftrace_irq_duration_seconds_count', { handler: 'eth0' }), 1);
    assert.equal(second.value(EVENTS), 5);
    assert.equal(second.value('ftrace_exporter_events_lost_total', { cpu: '2' }), 7);
    const calls = `cpus=2\n   cat-173   [003]   100.000001: function:             mutex_unlock <-- rb_simple_write\n`;
    const functions = replayed(fileOf(calls), ['function']);
    assert.equal(functions.value('ftrace_function_calls_total', { function: 'mutex_unlock' }), 1);
  });

  it('of trace-cmd report give what the trace.dat gives', () => {
    const capture = (name: string) =>
      fileURLToPath(new URL(`../../fixtures/captures/${name}.dat`, import.meta.url));
    for (const [dat, report, ...probes] of [
      ['disk', 'disk.report'],
      ['disk', 'disk.report-raw'],
      ['6.12-rt', '6.12-rt.report', 'syscalls'],
      ['6.12-rt', '6.12-rt.report-raw', 'syscalls'],
      ['6.12-rt.osnoise', 'osnoise.report-raw', 'osnoise'],
      ['6.12-rt.hwlat', 'hwlat.report', 'hwlat'],
      ['6.12-rt.timerlat', 'timerlat.report-latency', 'timerlat'],
    ]) {
      const [own, text] = [replayed(capture(dat), probes), replayed(fixture(report), probes)];
      const counts = [EVENTS, `${WAITS}_count`, 'ftrace_sched_switches_total', 'ftrace_sched_wakeups_total'];
      counts.push(
        'ftrace_sched_migrations_total',
        'ftrace_irq_duration_seconds_count',
        'ftrace_block_io_bytes_total',
      );
      counts.push('ftrace_block_io_device_seconds_count', 'ftrace_syscall_duration_seconds_count', UNMATCHED);
      counts.push('ftrace_syscall_errors_total', 'ftrace_osnoise_noise_seconds_total', ERRORS);
      counts.push('ftrace_osnoise_runtime_seconds_total', 'ftrace_osnoise_noises_total');
      counts.push('ftrace_hwlat_latency_seconds_sum', 'ftrace_timerlat_latency_seconds_sum');
      assert.ok(own.value(EVENTS) > 0);
      for (const name of counts) close(text.value(name), own.value(name));
    }
  });

  it("of today's kernels, changed as on a long way, give the same", () => {
    const changes: Record<string, (text: string) => string> = {
      'trimmed on the left': (text) => text.replace(/^ +/gm, ''),
      indented: (text) => text.replace(/^/gm, '    '),
      'with line ends of Windows': (text) => text.replaceAll('\n', '\r\n'),
      'without the last newline': (text) => text.replace(/\n$/, ''),
      'without flags': (text) => text.replace(/(\[\d{3}\]) [^\s\d]\S{2,7} /gm, '$1 '),
      'with the pid in 5 columns': (text) =>
        text.replace(/^( *\S+-\d+) +(?=[[(])/gm, (front) => `${front.trimEnd().padEnd(22)} `),
    };
    for (const [file, probe] of [
      ['text/5.10-rt.events', 'syscalls'],
      ['text/7.3-rt.events', 'syscalls'],
      ['tracers-6.1-rt/timerlat', 'timerlat'],
      ['tracers-7.3-rt/osnoise', 'osnoise'],
      ['tracers-6.12-rt/hwlat', 'hwlat'],
      ['tracers-6.12-rt/function_graph', 'function_graph'],
      ['text/6.1-rt.blk', 'blk'],
    ]) {
      const text = readFileSync(new URL(`../../fixtures/${file}.txt`, import.meta.url), 'latin1');
      const as = replayed(fileOf(text), [probe]).exposition;
      for (const [how, change] of Object.entries(changes)) {
        assert.equal(replayed(fileOf(change(text)), [probe]).exposition, as, `${file} ${how}`);
      }
    }
  });

  it('of function_graph that cannot be read count, also after an unknown event', () => {
    const text =
      '   65.978403 |   0)    cat-1       |   1.500 us    |  vfs_read();\n' +
      '   65.978404 |   0)    cat-1       |               |  /* foo_event: bar */\n' +
      '   65.978405 |   0)   x\n' +
      '   65.978406 |   0)    cat-1       |   1.500 us    |  vfs_read();\n';
    const { value } = replayed(fileOf(text), ['function_graph']);
    assert.equal(value(ERRORS), 1);
  });

  it('of another kind within a string are ignored, because a task chooses its name', () => {
    const text = textOf('trimmed-by-one');
    for (const name of ['\na-1 [000] 1: x', '\na-1 0d.. 1us:']) {
      const { value } = replayed(fileOf(text.replace('prev_comm=bash', `prev_comm=${name}`)));
      assert.deepEqual([value(EVENTS), value(ERRORS), value(`${WAITS}_count`)], [5, 0, 2], name);
    }
  });
});

describe('texts of events of old kernels', () => {
  it('have states that later ones do not have', () => {
    waits(fixture('states-x-and-dk'), 2, 20e-6, 5);
    const { value } = replayed(fixture('states-before-4.14'));
    assert.equal(value('ftrace_sched_switches_total', { kind: 'voluntary' }), 2);
    assert.equal(value('ftrace_sched_switches_total', { kind: 'preempted' }), 0);
  });

  it('say whether a wake-up succeeded; one without success is no wake-up', () => {
    const { value } = replayed(fixture('wakeup-success'));
    assert.equal(value('ftrace_sched_wakeups_total'), 2);
    assert.equal(value(`${WAITS}_count`), 1);
    close(value(`${WAITS}_sum`), 10e-6);
    const without = replayed(fileOf(textOf('wakeup-success').replaceAll('success=1', 'success=0')));
    assert.equal(without.value('ftrace_sched_wakeups_total'), 0);
    assert.equal(without.value(ERRORS), 0);
    assert.equal(without.value(EVENTS), 3);
  });

  it('of hwlat have no count', () => {
    const { value } = replayed(fixture('hwlat-5.6'), ['hwlat']);
    assert.equal(value('ftrace_hwlat_latency_seconds_count', { loop: 'inner' }), 5);
    close(value('ftrace_hwlat_latency_seconds_sum', { loop: 'outer' }), (14 + 9 + 9 + 12 + 12) * 1e-6);
  });

  it('of a flush say that it is a write of nothing', () => {
    const { value } = replayed(fixture('block-old-flush'));
    const device = (operation: string) => [
      value('ftrace_block_io_device_seconds_count', { operation }),
      Math.round(value('ftrace_block_io_device_seconds_sum', { operation }) * 1e6),
      value('ftrace_block_io_bytes_total', { operation }),
    ];
    assert.deepEqual(device('write'), [1, 791, 8192]);
    assert.deepEqual(device('flush'), [1, 16, 0]);
    // In today's kernels, this request itself is not issued; the block layer issues another one in its place.
    const line = (micros: number, text: string) =>
      `            bash-7       [000] d..2.   100.${String(micros).padStart(6, '0')}: ${text}\n`;
    const today = replayed(
      fileOf(
        line(0, 'block_rq_issue: 8,0 FF 0 () 0 + 0 [bash]') +
          line(10, 'block_rq_complete: 8,0 FWS () 18446744073709551615 + 0 [0]') +
          line(30, 'block_rq_complete: 8,0 FF () 18446744073709551615 + 0 [0]'),
      ),
    );
    assert.equal(today.value('ftrace_block_io_device_seconds_count', { operation: 'flush' }), 1);
    close(today.value('ftrace_block_io_device_seconds_sum', { operation: 'flush' }), 30e-6);
  });

  it('of single syscalls give the durations of all of them', () => {
    const { value, up } = replayed(fixture('syscall-events'), ['syscalls']);
    assert.equal(value('ftrace_syscall_duration_seconds_count', { syscall: 'read' }), 1);
    close(value('ftrace_syscall_duration_seconds_sum', { syscall: 'read' }), 10e-6);
    assert.deepEqual(up, ['syscalls']);
  });

  it("of syscalls by number do not say which machine's numbers they are; a warning says so", () => {
    const { warnings } = replayed(fixture('arm-syscalls'), ['syscalls']);
    assert.match(
      warnings.join('\n'),
      /does not name the architecture of its machine: the agent uses the syscall names of /,
    );
  });
});

describe('lines that cannot be read', () => {
  it('void what was open, and are counted with the first of them and the reason', () => {
    const { value, warnings } = replayed(fixture('block-broken-lines'));
    assert.equal(value('ftrace_block_io_device_seconds_count'), 0);
    assert.equal(value(UNMATCHED, { probe: 'block' }), 1);
    assert.equal(value(ERRORS, { reason: 'text_line' }), 2);
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0],
      /: 2 of 4 lines cannot be parsed .* The first is line 4, ".*\(\) 1000": .*block_rq_complete/,
    );
  });

  it('do so without a front part, on every CPU', () => {
    const lines = textOf('trimmed-by-one').split('\n');
    const wrapped = [lines[0], 'and now for something else', ...lines.slice(1)].join('\n');
    const { value, warnings } = replayed(fileOf(wrapped));
    // The first wait had begun before that line and was not over; the second had not begun.
    assert.equal(value(`${WAITS}_count`), 1);
    close(value(`${WAITS}_sum`), 10e-6);
    assert.equal(value(UNMATCHED, { reason: 'lost' }), 1);
    assert.match(
      warnings[0],
      /1 of 6 lines cannot be parsed .* The first is line 2, "and now for something else"/,
    );
    const irq = textOf('pid-in-5-columns-irq').replace('\n', '\n?\n');
    assert.equal(replayed(fileOf(irq)).value('ftrace_irq_duration_seconds_count'), 1);
  });

  it('are reported where they may belong to the event before them', () => {
    const text = textOf('trimmed-and-unknown').replace('foo_event: bar', 'foo_event: bar\nand more');
    const { value, warnings } = replayed(fileOf(text));
    assert.equal(value(EVENTS), 4);
    assert.match(
      warnings.join('\n'),
      /1 of 5 lines do not begin like an event.* The first is line 2, "and more"/,
    );
  });

  it('at the end without a newline count if they can be read', () => {
    const text = textOf('trimmed-by-one').trimEnd();
    waits(fileOf(text), 2, 20e-6, 5);
    const { value, warnings } = replayed(fileOf(text.slice(0, -20)));
    assert.deepEqual([value(EVENTS), value(ERRORS), value(`${WAITS}_count`)], [4, 0, 1]);
    assert.match(warnings.join('\n'), /ends within line 5, at byte \d+: the last \d+ bytes are ignored/);
  });
});

describe('probes whose events the text does not have', () => {
  it('are off, with the reason', () => {
    const { off, up, value } = replayed(fixture('irq-only'));
    assert.deepEqual(up, ['irq']);
    assert.deepEqual(Object.keys(off).sort(), ['block', 'sched', 'softirq']);
    for (const reason of Object.values(off))
      assert.match(reason, /^this recording has none of the probe's events \(/);
    assert.equal(value('ftrace_exporter_probe_up', { probe: 'sched' }), 0);
  });

  it('find no errors in the records of another tracer', () => {
    const { value, off, warnings } = replayed(fixture('timerlat-four-flags'), ['timerlat', 'osnoise']);
    assert.equal(value(ERRORS), 0);
    assert.equal(value('ftrace_timerlat_latency_seconds_count'), 8);
    assert.match(off.osnoise, /none of the probe's events/);
    assert.deepEqual(warnings, []);
  });

  it('are those of a tracer whose trace is empty, which is an answer', () => {
    const { off, sample, warnings, value } = replayed(fixture('hwlat-empty'), ['hwlat']);
    assert.match(off.hwlat, /none of the probe's events/);
    assert.equal(sample('ftrace_hwlat_latency_seconds_count'), undefined);
    assert.equal(value('ftrace_exporter_events_lost_total'), 0);
    assert.deepEqual(warnings, []);
  });

  it('are counted by the names that the config spells out', () => {
    const config = fileOf('probes: { events: { count: ["bpf_trace:bpf_trace_printk"] } }\n', 'count.yaml');
    const { value } = replayed(fixture('bpf-trace-printk'), [], config);
    assert.equal(value('ftrace_events_total', { event: 'bpf_trace:bpf_trace_printk' }), 2);
    const text = textOf('bpf-trace-printk').replace('hello\n', 'hello\nworld\n');
    const more = replayed(fileOf(text), [], config);
    assert.deepEqual([more.value('ftrace_events_total'), more.value(ERRORS)], [2, 0]);
  });
});

describe('the trace of a latency tracer', () => {
  it('is that of the last tracer in its headings', () => {
    const { value, off } = replayed(fixture('wakeup_rt-two-headings'), ['wakeup', 'wakeup_rt']);
    close(value('ftrace_latency_tracer_max_seconds', { tracer: 'wakeup_rt' }), 5e-6);
    assert.equal(off.wakeup, 'this recording is not from the tracer wakeup');
  });

  it('is available on request', () => {
    const { latency } = replayed(fixture('wakeup_rt-latency'), ['wakeup_rt']);
    const records = latency('wakeup_rt') ?? [];
    assert.equal(records.length, 1);
    assert.equal(records[0].latencyNs, 1_689_000);
    assert.equal(records[0].trace, textOf('wakeup_rt-latency'));
    assert.equal(latency('wakeup'), undefined);
  });

  // Texts as in Documentation/trace/ftrace.rst. Their lines of events belong to the latency, so they do not count.
  const called = '    bash-1977    3d..1.    0us!: _raw_spin_lock_irq <-run_timer_softirq';
  const woken = '    bash-1977    3dNh4.    1us+:   1977:120:R   + [003]    17: 98:R migration/3';
  const event = '    bash-1977    3dN.3.    9us : sched_wakeup: comm=a pid=17 prio=98 target_cpu=003';
  const places = '#  => started at: run_timer_softirq\n#  => ended at:   run_timer_softirq\n#\n';
  for (const [tracer, between, first] of [
    ['wakeup', '', woken],
    ['wakeup_dl', '', woken],
    ['irqsoff', places, called],
    ['preemptoff', places, called],
    ['preemptirqsoff', places, called],
  ]) {
    it(`is read for ${tracer}, with and without events in it`, () => {
      const heading = `# tracer: ${tracer}\n#\n# ${tracer} latency trace v1.1.5 on 6.6.0\n# latency: 71 us, #3/3, CPU#3 | (M:preempt VP:0, KP:0, SP:0 HP:0 #P:4)\n${between}`;
      for (const lines of [[first], [first, event]]) {
        const text = `${heading}${lines.join('\n')}\n`;
        const { value, up, latency, warnings } = replayed(fileOf(text), [tracer]);
        assert.deepEqual([up.includes(tracer), warnings], [true, []]);
        assert.equal(value('ftrace_latency_tracer_records_total', { tracer }), 1);
        close(value('ftrace_latency_tracer_max_seconds', { tracer }), 71e-6);
        assert.deepEqual([value(EVENTS), value(ERRORS)], [0, 0]);
        assert.equal(latency(tracer)?.[0].trace, text);
      }
    });
  }
});

describe('what is not read', () => {
  it('a pipe or a device is refused at once, because a recording is read twice', () => {
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    for (const file of [pipe, '/dev/zero']) {
      assert.throws(
        () => replayed(file),
        (error: Error) => error instanceof UsageError && /reads a recording twice/.test(error.message),
      );
    }
  });

  const graph = (line: string) => `# tracer: function_graph\n#\n# CPU  FUNCTION CALLS\n${line}\n`;
  for (const [what, text, message] of [
    ['nothing', '', /is empty$/],
    ['gzip', '\x1f\x8b\x08\0', /is compressed with gzip: unpack it first \(gunzip\)/],
    ['zstd', '\x28\xb5\x2f\xfd\0', /is compressed with zstd/],
    ['perf.data', 'PERFILE2\0', /is a file of perf record/],
    ['a web page', '<!DOCTYPE html>\n<html>', /is a web page/],
    ['JSON', '{"traceEvents":[]}', /is JSON/],
    [
      'perf script',
      'swapper     0 [001]  1234.567890:       sched:sched_switch: prev_comm=a prev_pid=1\n',
      /is the output of perf script/,
    ],
    [
      'blkparse',
      '  8,0    3        1     0.000000000   697  G   W 223490 + 8 [kjournald]\n',
      /is the output of blkparse/,
    ],
    [
      'nop with latency-format',
      textOf('nop-latency-format'),
      /text of the tracer nop with the option latency-format/,
    ],
    [
      'calls without durations',
      graph(' 0)  vfs_read() {\n 0)    rw_verify();\n 0)  }'),
      /function_graph without durations/,
    ],
    [
      'calls without durations, with tasks',
      graph(' 0)    cat-341    |  vfs_read();'),
      /function_graph without durations/,
    ],
    ['calls without CPUs', graph('   1.500 us    |  vfs_read();'), /function_graph without CPUs/],
    [
      'calls of trace-cmd report',
      'cpus=1\n  cat-173   [000]   100.000001: funcgraph_entry:        1.500 us   |  vfs_read();\n',
      /trace-cmd report with calls of function_graph, .*replay the trace.dat/,
    ],
    ['no front parts', '# tracer: nop\n#\nsched_wakeup: comm=a pid=5\n', /without task, CPU and time/],
    ['raw numbers', '# tracer: nop\n#\n12 0 76211513123 5\n', /has no line with an event: record it again/],
    ['a compressed file', gzipSync(textOf('irq-only')).toString('latin1'), /compressed with gzip/],
    ['anything else', 'hello\nworld\n', /neither a trace.dat file nor text of trace or trace_pipe/],
  ] as const) {
    it(`${what} is refused, with what it is`, () => {
      assert.throws(
        () => replayed(fileOf(text)),
        (error: Error) => error instanceof UsageError && message.test(error.message),
      );
    });
  }
});
