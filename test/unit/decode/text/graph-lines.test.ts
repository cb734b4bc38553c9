import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeText, typeOf } from './support.ts';

const ENTRY = typeOf('formats-7.3-rt', 'ftrace:funcgraph_entry', ['func', 'depth']);
const EXIT = typeOf('formats-7.3-rt', 'ftrace:funcgraph_exit', [
  'func',
  'depth',
  'calltime',
  'rettime',
  'overrun',
]);
const TASK_EXIT = typeOf('text/formats-6.12-rt', 'sched:sched_process_exit', ['comm', 'pid']);
const TYPES = [ENTRY, EXIT, TASK_EXIT];

const decode = (text: string) => decodeText(text, TYPES, { isGraph: true });

/** The task as print_graph_proc() prints it: a name of at most 7 bytes, centred in 14 columns. */
function proc(comm: string, pid: number): string {
  const text = `${comm.slice(0, 7)}-${pid}`;
  const spaces = Math.max(0, 14 - text.length);
  return ' '.repeat(spaces >> 1) + text + ' '.repeat(spaces - (spaces >> 1));
}

/** A line with all columns; `duration` is the whole column. */
function lineOf(
  call: string,
  from: { comm?: string; pid?: number; cpu?: number; stamp?: string; flags?: string; duration?: string } = {},
) {
  const { comm = 'cat', pid = 7, cpu = 0, stamp = '   12.345678', duration = '              ' } = from;
  const flags = from.flags === undefined ? '' : ` ${from.flags} | `;
  return `${stamp} |  ${String(cpu).padStart(2)}) ${proc(comm, pid)} | ${flags}${duration}|  ${call}\n`;
}
const took = (text: string, mark = ' ') => `${mark} ${text} us `.padEnd(14);
const short = (text: string) =>
  decode(text).calls.map(({ event, pid, fields }) => [
    event.slice(-5),
    pid,
    fields.func,
    fields.depth,
    Number(fields.rettime) - Number(fields.calltime),
  ]);

describe('lines of function_graph', () => {
  it('are entries, exits, or both', () => {
    const text = [
      lineOf('vfs_read() {'),
      lineOf('  touch_atime();', { duration: took('1.234') }),
      lineOf('  sub() {'),
      lineOf('  } /* sub */', { duration: took('933.471', '!') }),
      lineOf('} /* vfs_read [ext4] */', { duration: took('10881.02', '*') }),
    ].join('');
    assert.deepEqual(short(text), [
      ['entry', 7, 'vfs_read', 0, Number.NaN],
      ['entry', 7, 'touch_atime', 1, Number.NaN],
      ['_exit', 7, 'touch_atime', 1, 1234],
      ['entry', 7, 'sub', 1, Number.NaN],
      ['_exit', 7, 'sub', 1, 933471],
      ['_exit', 7, 'vfs_read', 0, 10881020],
    ]);
    const { decoder, calls } = decode(text);
    assert.equal(decoder.events(0), 6);
    assert.equal(decoder.lateEvents(), 0);
    assert.deepEqual(
      calls.map(({ timestampNs }) => timestampNs - 12_345_678_000),
      [0, 0, 1234, 0, 0, 0],
    );
  });

  it('have durations of any length', () => {
    for (const [text, ns] of [
      ['0.042', 42],
      ['12345.67', 12_345_670],
      ['123456.7', 123_456_700],
      ['1234567', 1_234_567_000],
      ['123456789', 123_456_789_000],
      ['12345678901', 12_345_678_901_000],
    ] as const) {
      assert.equal(short(lineOf('x();', { duration: took(text, '$') }))[1][4], ns, text);
    }
  });

  it('may have arguments, return values and addresses', () => {
    const text = [
      lineOf('vfs_read(file=0xff43, pos=0x0) {'),
      lineOf('  a(x=0x1); /* = 0x3 */', { duration: took('1.000') }),
      lineOf('  b(); /* <-vfs_read+0x1/0x2 ret=-2 */', { duration: took('1.000') }),
      lineOf('} /* vfs_read ret=0x200 */', { duration: took('9.000') }),
    ].join('');
    assert.deepEqual(
      short(text).map(([kind, , func]) => [kind, func]),
      [
        ['entry', 'vfs_read'],
        ['entry', 'a'],
        ['_exit', 'a'],
        ['entry', 'b'],
        ['_exit', 'b'],
        ['_exit', 'vfs_read'],
      ],
    );
  });

  it('may lack times, tasks and names of exits', () => {
    const text = [
      ' 0)               |  vfs_read() {\n',
      ' 1)   1.500 us    |  other();\n',
      ' 0) + 42.360 us   |    inner();\n',
      ' 0) ! 933.471 us  |  }\n',
      ' 0)   0.500 us    |  }\n',
    ].join('');
    assert.deepEqual(short(text), [
      ['entry', 0, 'vfs_read', 0, Number.NaN],
      ['entry', 0, 'other', 0, Number.NaN],
      ['_exit', 0, 'other', 0, 1500],
      ['entry', 0, 'inner', 1, Number.NaN],
      ['_exit', 0, 'inner', 1, 42360],
      ['_exit', 0, 'vfs_read', 0, 933471],
      // The entry of this call is unknown.
      ['_exit', 0, undefined, 0, 500],
    ]);
    const { calls, decoder } = decode(text);
    assert.ok(calls.every(({ timestampNs, fields }) => timestampNs > 0 && Number(fields.calltime ?? 1) > 0));
    assert.equal(decoder.lateEvents(), 0);
  });

  it('have flags and overruns with the options for them', () => {
    const text = [
      lineOf('f() {', { flags: 'd.h1.' }),
      lineOf('} /* f */', { flags: '..s....', duration: took('5.000') }),
      ' (Overruns: 42)\n',
      lineOf('g();', { flags: '....', duration: took('5.000') }),
    ].join('');
    const { calls, errors } = decode(text);
    assert.deepEqual(errors, []);
    assert.deepEqual(
      calls.map(({ flags, fields }) => [flags, fields.overrun]),
      [
        [0x09, undefined],
        [0, 42],
        [0, undefined],
        [0, 0],
      ],
    );
  });

  it('may be banners and arrows, which are not events', () => {
    const dashes = ' ------------------------------------------\n';
    const text = [
      dashes,
      ` 0) ${proc('sh', 124)} => ${proc('kworker', 1234567)}\n`,
      `${dashes}\n`,
      lineOf('==========> |', { duration: '  ' }).replace('|  ==', '=='),
      lineOf('f();', { duration: took('5.000') }),
      'CPU:0 [LOST 3 EVENTS]\n',
      lineOf('g();', { duration: took('5.000') }),
    ].join('');
    const { errors, decoder, losses } = decode(text);
    assert.deepEqual(errors, []);
    assert.equal(decoder.events(0), 4);
    assert.deepEqual(losses, [[0, 12_345_678_000]]);
  });

  it('contain other events as comments', () => {
    const comm = 'x */\n| y';
    const text = [
      lineOf(`/* sched_process_exit: comm=${comm} pid=5 prio=120 */`),
      lineOf('  /* a marker */'),
      lineOf('f();', { duration: took('5.000') }),
    ].join('');
    const { calls, errors, decoder } = decode(text);
    assert.deepEqual(errors, []);
    assert.deepEqual(calls[0].fields, { comm, pid: 5 });
    assert.equal(decoder.events(0), 4);
  });

  it('may name tasks of any bytes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 255 }), { maxLength: 7 }),
        fc.integer({ min: 0, max: 4_194_304 }),
        (name, pid) => {
          const comm = Buffer.from(name).toString('latin1');
          const dashes = ' ------------------------------------------\n';
          const text = [
            dashes,
            ` 0) ${proc('sh', 124)} => ${proc(comm, pid)}\n`,
            `${dashes}\n`,
            lineOf('f();', { comm, pid, duration: took('5.000') }),
            lineOf('g() {', { comm, pid }),
          ].join('');
          const { calls, errors } = decode(text);
          assert.deepEqual(errors, []);
          assert.deepEqual(
            calls.map((call) => [call.pid, call.fields.func]),
            [
              [pid, 'f'],
              [pid, 'f'],
              [pid, 'g'],
            ],
          );
        },
      ),
    );
  });

  it('lose only themselves if they make no sense', () => {
    for (const line of [
      'x\n',
      ' 0) nonsense\n',
      lineOf('f()'),
      lineOf('f;'),
      lineOf('}'),
      lineOf('/* open'),
      lineOf('f();', { cpu: 77 }),
    ]) {
      const { calls, errors } = decode(line + lineOf('f() {'));
      assert.deepEqual([calls.length, errors.length], [1, 1], line);
    }
  });
});
