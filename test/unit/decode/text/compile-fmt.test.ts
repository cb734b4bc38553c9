/** Reads lines with the kernel's print fmts. The lines are as the kernel prints them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { makeTextProblems, textProblem } from '../../../../src/decode/text/line-types.ts';
import { decodeText, lineOf, parsed, typeOf } from './support.ts';

const COMMON = `name: probe
ID: 77
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;
`;
/** Fields of all sizes, aligned and not. */
const FIELDS = `
	field:u8 b;	offset:8;	size:1;	signed:0;
	field:s16 h;	offset:10;	size:2;	signed:1;
	field:int w;	offset:12;	size:4;	signed:1;
	field:u64 q;	offset:20;	size:8;	signed:0;
	field:unsigned int odd;	offset:29;	size:4;	signed:0;
	field:char comm[16];	offset:36;	size:16;	signed:0;
	field:__data_loc char[] name;	offset:52;	size:4;	signed:0;
	field:__rel_loc char[] rel;	offset:56;	size:4;	signed:0;
	field:u8 array[8];	offset:60;	size:8;	signed:0;
`;

function made(printFmt: string, fields: readonly string[]) {
  const format = parsed('test', `${COMMON}${FIELDS}\nprint fmt: ${printFmt}\n`);
  return { event: 'test:probe', format, fields };
}
/** Fields read from one line of the event. */
function read(printFmt: string, fields: readonly string[], text: string) {
  const { calls, errors } = decodeText(lineOf(`probe: ${text}`), [made(printFmt, fields)]);
  return errors.length > 0 ? errors[0][1] : calls[0]?.fields;
}

describe('lines by print fmt', () => {
  it('read on behind addresses, whose conversions have digits', () => {
    const line =
      'inet_sock_set_state: family=AF_INET protocol=IPPROTO_TCP sport=0 dport=23456 saddr=127.0.0.1 daddr=127.0.0.1 saddrv6=::ffff:127.0.0.1 daddrv6=::ffff:127.0.0.1 oldstate=TCP_CLOSE newstate=TCP_SYN_SENT';
    const fields = ['dport', 'oldstate', 'newstate'];
    const type = typeOf('formats-6.18', 'sock:inet_sock_set_state', fields);
    const { calls, errors } = decodeText(lineOf(line), [type]);
    assert.deepEqual(errors, []);
    assert.deepEqual(calls[0]?.fields, { dport: 23456, oldstate: 7, newstate: 2 });
  });

  it('give integers of all sizes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 255 }),
        fc.integer({ min: -32768, max: 32767 }),
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        (b, h, w, q, odd) => {
          const text = `b=${b} h=${String(h).padStart(8)}|${String(w).padEnd(9)}| q=0x${q.toString(16)} ${odd}`;
          assert.deepEqual(
            read(
              '"b=%u h=%8d|%-9d| q=%#llx %u", REC->b, REC->h, REC->w, REC->q, REC->odd',
              ['b', 'h', 'w', 'q', 'odd'],
              text,
            ),
            { b, h, w, q, odd },
          );
        },
      ),
    );
  });

  it('give strings, wherever the record keeps them', () => {
    assert.deepEqual(
      read(
        '"%s (%s) [%8s]", REC->comm, __get_str(name), __get_rel_str(rel)',
        ['comm', 'name', 'rel'],
        'a (b (c d) [      xy]',
      ),
      { comm: 'a', name: 'b (c d', rel: 'xy' },
    );
  });

  it('give a field that is printed in parts', () => {
    const fmt =
      '"%d,%d", ((unsigned int) ((REC->odd) >> 20)), ((unsigned int) ((REC->odd) & ((1U << 20) - 1)))';
    assert.deepEqual(read(fmt, ['odd'], '254,17'), { odd: 254 * 2 ** 20 + 17 });
    const time = '"%llu.%09u", (REC->q) / 1000000000UL, (REC->q) % 1000000000UL';
    assert.deepEqual(read(time, ['q'], '23.000000017'), { q: 23_000_000_017 });
  });

  it('give flags, symbols and choices', () => {
    const flags = '"<%s>", __print_flags(REC->w, "|", { 1, "S" }, { 2, "SD" }, { 4, "x|y" })';
    const w = (text: string, fmt = flags) => read(fmt, ['w'], text);
    assert.deepEqual(w('<>'), { w: 0 });
    assert.deepEqual(w('<S>'), { w: 1 });
    assert.deepEqual(w('<S|SD|x|y>'), { w: 7 });
    assert.deepEqual(w('<SD|0x18>'), { w: 0x1a });
    assert.deepEqual(w('<0x8>'), { w: 8 });
    assert.equal(w('<Q>'), 'text_line');
    const together = '"<%s>", __print_flags(REC->w, "", { 1, "P" }, { 2, "O" })';
    assert.deepEqual(w('<PO>', together), { w: 3 });
    const symbol = '"%s", __print_symbolic(REC->w, { 3, "HI" }, { 4, "HRTIMER" })';
    assert.deepEqual(w('HRTIMER', symbol), { w: 4 });
    assert.deepEqual(w('0x9', symbol), { w: 9 });
    assert.equal(w('HIX', symbol), 'text_line');
    const choice = '"%6s!", REC->w ? "thread" : "irq"';
    assert.deepEqual(w('   irq!', choice), { w: 0 });
    assert.deepEqual(w('thread!', choice), { w: 1 });
  });

  it('give prev_state of sched_switch with all its marks', () => {
    const type = typeOf('formats-6.18', 'sched:sched_switch', ['prev_state']);
    for (const [text, state] of [
      ['R', 0],
      ['R+', 256],
      ['S', 1],
      ['D|I', 0x82],
      ['X|Z', 0x30],
    ] as const) {
      const line = `sched_switch: prev_comm=a prev_pid=1 prev_prio=120 prev_state=${text} ==> next_comm=b next_pid=2 next_prio=120`;
      assert.deepEqual(decodeText(lineOf(line), [type]).calls[0].fields, { prev_state: state });
    }
  });

  it('skip fields that are not wanted', () => {
    assert.deepEqual(
      read(
        '"%pI4 %*pbl %s %pS %c%% %.*s w=%d {%s}", 0, 1, REC->array, __print_hex(REC->array, 8), 0, 0, 3, REC->comm, REC->w, __print_array(REC->array, 8, 1)',
        ['w'],
        '1.2.3.4 0-3,7 00 11 22 do_x+0x1/0x2 [ext4] z% a b w=-5 {0x1,0x2}',
      ),
      { w: -5 },
    );
  });

  it('may be cut off after the wanted fields, if no string can mislead', () => {
    assert.deepEqual(read('"w=%d rest=%d", REC->w, REC->h', ['w'], 'w=5 rest=nonsense'), { w: 5 });
  });

  it('end with the newline of the print fmt itself', () => {
    assert.deepEqual(read('"w=%d\\n", REC->w', ['w'], 'w=5\n'), { w: 5 });
  });

  const refused: [why: string, printFmt: string, field: string, reason: RegExp][] = [
    ['is not printed', '"%d", REC->h', 'w', /does not contain w$/],
    ['is printed in a sum', '"%d", REC->w + 1', 'w', /w only in a form that can't be converted back/],
    ['is printed in part', '"%d", REC->w & 0xf', 'w', /w only in a form/],
    [
      'is an array',
      '"%s", __print_hex(REC->array, 8)',
      'array',
      /does not contain the recorded value of array/,
    ],
    [
      'has names that are not constants',
      '"%s", __print_symbolic(REC->w, { FOO, "a" })',
      'w',
      /only in a form/,
    ],
    ['has no format at all', 'REC->w', 'w', /format is not only a string/],
    ['has too few arguments', '"%d %d", REC->w', 'w', /more conversions than arguments/],
  ];
  for (const [why, printFmt, field, reason] of refused) {
    it(`cannot give a field that ${why}`, () => {
      assert.match(textProblem(made(printFmt, [field])) ?? '', reason);
      // The event can still be counted.
      assert.equal(textProblem(made(printFmt, [])), undefined);
    });
  }

  it('give an address only as the name of its function', () => {
    const problem = (printFmt: string) => textProblem({ ...made(printFmt, ['q']), addresses: ['q'] });
    assert.match(problem('"%p", REC->q') ?? '', /does not name the function of q/);
    assert.equal(problem('"%ps", REC->q'), undefined);
    assert.equal(problem('"%p %ps", REC->q, REC->q'), undefined);
    const both = { ...made('"%p %ps", REC->q, REC->q', ['q']), addresses: ['q'] };
    const { calls } = decodeText(lineOf('probe: 00000000deadbeef vfs_read'), [both]);
    // The field is the number of the name that %ps prints, not the hash that %p prints.
    assert.deepEqual(calls[0]?.fields, { q: 1 });
  });

  it('lose one line each if they do not match', () => {
    const type = made('"w=%d!", REC->w', ['w']);
    const text = ['w=1!', 'w=!', 'v=2!', 'w=3', 'w=99999999999999999999999!', 'w=4!'].map((one) =>
      lineOf(`probe: ${one}`),
    );
    const { calls, errors, decoder } = decodeText(text.join(''), [type]);
    assert.deepEqual(
      calls.map(({ fields }) => fields.w),
      [1, 4],
    );
    assert.deepEqual(errors, Array(4).fill([0, 'text_line']));
    // Lines that do not match still count as events.
    assert.equal(decoder.events(0), 6);
  });

  it('cannot be distinguished if two events have the same name', () => {
    const problemOf = makeTextProblems();
    const first = made('"w=%d", REC->w', ['w']);
    const second = { ...first, event: 'other:probe' };
    assert.equal(problemOf(first), undefined);
    assert.equal(problemOf(first), undefined);
    assert.match(problemOf(second) ?? '', /the same as that of test:probe/);
    // An event that cannot be read does not block the next.
    const again = makeTextProblems();
    assert.match(again(made('"%d", REC->h', ['w'])) ?? '', /does not contain w/);
    assert.equal(again(second), undefined);
  });
});
