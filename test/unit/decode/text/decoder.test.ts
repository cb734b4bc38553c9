import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HOLD_BACK } from '../../../../src/decode/text/decoder.ts';
import { decodeText, fixture, formatOf, lineOf, parsed, typeOf } from './support.ts';

const WAKEUP = typeOf('formats-6.18', 'sched:sched_wakeup', ['pid', 'target_cpu']);
const EXEC = typeOf('formats-6.18', 'sched:sched_process_exec', ['filename', 'pid']);
const MARKER = typeOf('text/formats-6.12-rt', 'ftrace:print', []);
const wakeup = (pid: number, from: Parameters<typeof lineOf>[1] = {}) =>
  lineOf(`sched_wakeup: comm=a pid=${pid} prio=1 target_cpu=001`, from);
const stamps = (seconds: number) => ({ stamp: `${String(seconds).padStart(5)}.000000` });
const pidsOf = (text: string) => decodeText(text, [WAKEUP]).calls.map(({ fields }) => fields.pid);

describe('the text decoder', () => {
  it('counts events that nobody handles, by CPU', () => {
    const text = lineOf('some_event: x=1', { cpu: 1 }) + wakeup(1) + lineOf('other: y', { cpu: 1 });
    const { calls, errors, decoder } = decodeText(text, [WAKEUP]);
    assert.equal(calls.length, 1);
    assert.deepEqual(errors, []);
    assert.deepEqual([decoder.events(0), decoder.events(1), decoder.events(99)], [1, 2, 0]);
    assert.ok(decoder.recordBytes(0) > 0 && decoder.recordBytes(1) > decoder.recordBytes(0));
  });

  it('reports a loss before the event after it, with its stamp, and counts it', () => {
    const text = [
      wakeup(1, stamps(10)),
      'CPU:1 [LOST 12 EVENTS]\n',
      wakeup(2, { cpu: 1, ...stamps(11) }),
      'CPU:0 [LOST EVENTS]\n',
      wakeup(3, stamps(12)),
      'CPU:0 [LOST 5 EVENTS]\n',
    ].join('');
    const { losses, order, decoder } = decodeText(text, [WAKEUP]);
    assert.deepEqual(losses, [
      [1, 11e9],
      [0, 12e9],
    ]);
    assert.deepEqual(order, [
      'sched:sched_wakeup 10000000000',
      'loss 1 11000000000',
      'sched:sched_wakeup 11000000000',
      'loss 0 12000000000',
      'sched:sched_wakeup 12000000000',
    ]);
    assert.deepEqual([decoder.flaggedLost(0), decoder.flaggedLost(1)], [5, 12]);
  });

  it('treats the start of a CPU within trace as a loss of what came before', () => {
    const text = `${wakeup(1)}##### CPU 1 buffer started ####\n${wakeup(2, { cpu: 1, ...stamps(13) })}`;
    const { losses, errors } = decodeText(text, [WAKEUP]);
    assert.deepEqual(losses, [[1, 13e9]]);
    assert.deepEqual(errors, []);
  });

  it('skips comments, empty lines and stack traces', () => {
    const text = [
      '# tracer: nop\n#\n# entries-in-buffer/entries-written: 3/3   #P:2\n\n',
      wakeup(1),
      lineOf('<stack trace>'),
      ' => try_to_wake_up\n => ret_from_fork_asm\n => <00007f2d3a2b>\n => /usr/lib/x-1 [0]\n',
      wakeup(2),
    ].join('');
    const { calls, errors, decoder } = decodeText(text, [WAKEUP]);
    assert.deepEqual(errors, []);
    assert.equal(calls.length, 2);
    // The line `<stack trace>` counts as a record, but the lines of the trace do not.
    assert.equal(decoder.events(0), 3);
  });

  it('loses one line for each that makes no sense', () => {
    const nonsense = [
      'nonsense',
      ' nonsense',
      'CPU:x [LOST',
      'CPU:9999 [LOST 1 EVENTS]',
      wakeup(9, { cpu: 4 }).trimEnd(),
    ];
    const text = nonsense.map((line, i) => `${wakeup(i)}${line}\n`).join('') + wakeup(99);
    const { calls, errors } = decodeText(text, [WAKEUP]);
    assert.deepEqual(
      calls.map(({ fields }) => fields.pid),
      [0, 1, 2, 3, 4, 99],
    );
    assert.deepEqual(errors, Array(5).fill([-1, 'text_line']));
  });

  it('waits for the end of a line before it reads it', () => {
    const { calls, errors } = decodeText(wakeup(1) + wakeup(2).trimEnd(), [WAKEUP]);
    assert.equal(calls.length, 1);
    assert.deepEqual(errors, [[0, 'text_line']]);
  });

  it('continues after a line whose handler fails', () => {
    const seen: unknown[] = [];
    const { errors } = decodeText(wakeup(1) + wakeup(2) + wakeup(3), [WAKEUP], {
      onCall: ({ fields }) => {
        seen.push(fields.pid);
        if (fields.pid === 2) throw new Error('a defect');
      },
    });
    assert.deepEqual(seen, [1, 2, 3]);
    assert.deepEqual(errors, [[0, 'handler_failed']]);
  });

  it('counts events that come after younger ones', () => {
    const text = wakeup(1, stamps(10)) + wakeup(2, { cpu: 1, ...stamps(9) }) + wakeup(3, stamps(10));
    assert.equal(decodeText(text, [WAKEUP]).decoder.lateEvents(), 1);
  });

  it('reads stamps that are not times', () => {
    const plain = wakeup(1).replace('12.345678', '   123456');
    assert.equal(decodeText(plain, [WAKEUP]).calls[0].timestampNs, 123456);
  });

  it('reads the events of single syscalls, which do not print their own names', () => {
    const types = [
      typeOf('formats-6.18', 'syscalls:sys_enter_fsync', []),
      typeOf('formats-6.18', 'syscalls:sys_exit_fsync', ['ret']),
      typeOf('formats-6.18', 'syscalls:sys_exit_newfstat', ['ret']),
    ];
    const text = [
      lineOf('sys_fsync(fd: 3)'),
      lineOf('sys_fsync -> 0x0'),
      lineOf('sys_newfstat -> 0xfffffffffffffff7'),
      lineOf('sys_write(fd: 1, buf: 55d0, count: 2)'),
      lineOf('sys_write -> 0x2'),
      lineOf('sys_fsync -> x'),
    ].join('');
    const { calls, errors, decoder } = decodeText(text, types);
    assert.deepEqual(
      calls.map(({ event, fields }) => [event, fields.ret]),
      [
        ['syscalls:sys_enter_fsync', undefined],
        ['syscalls:sys_exit_fsync', 0],
        ['syscalls:sys_exit_newfstat', -9],
      ],
    );
    assert.deepEqual(errors, [[0, 'text_line']]);
    assert.equal(decoder.events(0), 6);
  });

  it('reads functions, but not how often one was repeated', () => {
    const type = typeOf('formats-7.3-rt', 'ftrace:function', ['ip', 'parent_ip']);
    const text = [
      lineOf('vfs_read <-ksys_read'),
      lineOf('foo.isra.0 <-bar+0x1/0x2 [ext4]'),
      lineOf('vfs_open(path=0xff43, file=0x1) <-do_open'),
      lineOf('vfs_read'),
      lineOf('vfs_read <-ksys_read (repeats: 3, last_ts:   12.345678)'),
      lineOf('0xffffffffc0000000 <-x'),
      lineOf('trace_printk_user: vfs_read <-ksys_read'),
    ].join('');
    const { calls, errors, decoder } = decodeText(text, [type]);
    assert.deepEqual(errors, []);
    assert.deepEqual(
      calls.map(({ fields }) => [fields.ip, fields.parent_ip]),
      [
        ['vfs_read', 'ksys_read'],
        ['foo.isra.0', 'bar'],
        ['vfs_open', 'do_open'],
        ['vfs_read', undefined],
        [undefined, 'x'],
      ],
    );
    assert.equal(decoder.events(0), 7);
  });

  it('reads what was lost to hardware, with NMIs and without', () => {
    const fields = ['seqnum', 'duration', 'outer_duration', 'count', 'nmi_total_ts', 'nmi_count'];
    const type = typeOf('formats-6.12-rt', 'ftrace:hwlat', fields);
    const head = '#12    inner/outer(us):   14/11    ts:1499801089.066141940 count:3';
    const text = [head, `${head} nmi-total:4 nmi-count:1`, `${head} nmi-count:2`]
      .map((one) => lineOf(one))
      .join('');
    assert.deepEqual(
      decodeText(text, [type]).calls.map((call) => [
        call.fields.duration,
        call.fields.nmi_total_ts,
        call.fields.nmi_count,
      ]),
      [
        [14, 0, 0],
        [14, 4, 1],
        [14, 0, 2],
      ],
    );
  });

  it('reads markers with all their lines', () => {
    const text = [
      lineOf('tracing_mark_write: one'),
      lineOf('tracing_mark_write: two\nlines\n# and a third'),
      wakeup(5),
    ].join('');
    const { calls, errors } = decodeText(text, [{ ...MARKER, fields: ['buf'] }, WAKEUP]);
    assert.deepEqual(errors, []);
    assert.deepEqual(
      calls.map(({ fields }) => fields.buf ?? fields.pid),
      ['one', 'two\nlines\n# and a third', 5],
    );
    // These markers must not cause errors if no handler reads them.
    assert.deepEqual(decodeText(text, [WAKEUP]).errors, []);
  });

  it('finds the end of a path with newlines', () => {
    const text =
      lineOf('sched_process_exec: filename=/tmp/a pid=1 b\n pid=2 pid=77 old_pid=77') + lineOf('x: y');
    const { calls, errors } = decodeText(text, [EXEC]);
    assert.deepEqual(errors, []);
    assert.deepEqual(calls[0].fields, { filename: '/tmp/a pid=1 b\n pid=2', pid: 77 });
  });

  it('distinguishes events of the same name by their system only if it can', () => {
    const other = {
      event: 'mine:sched_wakeup',
      format: parsed(
        'mine',
        'name: sched_wakeup\nID: 999\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\nprint fmt: ""\n',
      ),
      fields: [],
    };
    assert.deepEqual(
      decodeText(wakeup(1), [WAKEUP, other]).calls.map(({ event }) => event),
      ['sched:sched_wakeup'],
    );
  });

  it('keeps the rest of a piece of text for the next one', () => {
    const text = Array.from({ length: 400 }, (_, i) => wakeup(i)).join('');
    assert.ok(text.length > 2 * HOLD_BACK);
    const whole = pidsOf(text);
    assert.equal(whole.length, 400);
    for (const chunk of [1, 7, 4096, 5000, 20_000]) {
      const { calls, errors } = decodeText(text, [WAKEUP], { chunk });
      assert.deepEqual(errors, []);
      assert.deepEqual(
        calls.map(({ fields }) => fields.pid),
        whole,
      );
    }
  });
});

const KERNELS = ['5.10-rt', '6.1-rt', '6.12-rt', '7.3-rt'];
const EVENTS = [
  ['sched:sched_switch', ['prev_comm', 'prev_pid', 'prev_state', 'next_comm', 'next_pid']],
  ['sched:sched_wakeup', ['comm', 'pid']],
  ['raw_syscalls:sys_exit', ['id', 'ret']],
  ['irq:irq_handler_entry', ['irq', 'name']],
] as const;
const typesOf = (kernel: string) =>
  EVENTS.map(([event, fields]) => ({ event, format: formatOf(`text/formats-${kernel}`, event), fields }));

for (const kernel of KERNELS) {
  describe(`text of ${kernel}`, () => {
    const text = fixture(`text/${kernel}.events.txt`);
    const types = typesOf(kernel);

    it('gives the same calls for pieces of any size', () => {
      const whole = decodeText(text, types);
      assert.deepEqual(whole.errors, []);
      for (const chunk of [997, 8192, 60_000]) {
        const inPieces = decodeText(text, types, { chunk });
        assert.deepEqual(inPieces.calls, whole.calls);
        assert.deepEqual(inPieces.errors, []);
      }
    });

    it('loses no more lines than are spoilt', () => {
      const events = () => decodeText(spoilt, types).decoder;
      const spoilt = Uint8Array.from(text);
      const total = events().events(0) + events().events(1);
      // Replace the dot in the timestamp of every 50th line.
      let lines = 0;
      let broken = 0;
      for (let at = 0; at < spoilt.length; at = spoilt.indexOf(0x0a, at) + 1 || spoilt.length) {
        if (spoilt[at + 16] !== 0x2d || ++lines % 50 !== 0) continue;
        spoilt[spoilt.indexOf(0x2e, at + 40)] = 0x21;
        broken++;
      }
      const { decoder, errors } = decodeText(spoilt, types);
      assert.ok(broken > 5);
      assert.equal(decoder.events(0) + decoder.events(1), total - broken);
      // A task name with newlines can make up to three lines of one, each of which is an error.
      assert.ok(
        errors.length >= broken && errors.length <= 3 * broken,
        `${errors.length} errors for ${broken} lines`,
      );
    });
  });
}

describe('any bytes', () => {
  const text = fixture('text/6.1-rt.events.txt').subarray(0, 12_000);
  const graph = fixture('text/6.1-rt.function_graph.txt').subarray(0, 12_000);
  const blk = fixture('text/6.1-rt.blk.txt');
  const types = [
    ...typesOf('6.1-rt'),
    typeOf('formats-6.1-rt', 'ftrace:timerlat', ['seqnum', 'context', 'timer_latency']),
    typeOf('formats-6.1-rt', 'ftrace:osnoise', ['runtime', 'noise']),
    typeOf('formats-6.1-rt', 'ftrace:function', ['ip', 'parent_ip']),
    typeOf('formats-6.1-rt', 'ftrace:funcgraph_exit', ['func', 'calltime', 'rettime']),
  ];
  /** Random damage: changed bytes, and pieces that are removed or repeated. */
  const damage = fc.array(
    fc.record({
      at: fc.nat(11_999),
      byte: fc.nat(255),
      length: fc.nat(60),
      what: fc.constantFrom('set', 'cut', 'double'),
    }),
    { maxLength: 20 },
  );

  for (const [name, whole, isGraph] of [
    ['events', text, false],
    ['function_graph', graph, true],
    ['blk', blk, false],
  ] as const) {
    it(`neither throw nor loop, nor make up events: ${name}`, () => {
      fc.assert(
        fc.property(damage, fc.integer({ min: 1, max: 5000 }), (damages, chunk) => {
          let bytes = Buffer.from(whole);
          for (const { at, byte, length, what } of damages) {
            if (what === 'set') bytes[at % bytes.length] = byte;
            else if (what === 'cut')
              bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
            else bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
          }
          const { decoder, calls } = decodeText(bytes, types, { isGraph, chunk: Math.max(chunk, 500) });
          const newlines = bytes.filter((byte) => byte === 0x0a).length;
          const events = [0, 1, 2, 3].reduce((sum, cpu) => sum + decoder.events(cpu), 0);
          assert.ok(calls.length <= events && events <= 2 * newlines);
        }),
        { numRuns: 150 },
      );
    });
  }

  it('of all kinds', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.boolean(), (bytes, isGraph) => {
        decodeText(bytes, types, { isGraph, chunk: 700 });
      }),
      { numRuns: 500 },
    );
  });
});
