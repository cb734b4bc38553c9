import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { constantValue } from '../../../src/decode/constant.ts';
import { parseFormat } from '../../../src/decode/format.ts';
import { flagPairs, switchedOutMask } from '../../../src/decode/print-fmt.ts';
import type { EventFormat } from '../../../src/model/format.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/formats-6.18');

function fixture(event: string): EventFormat {
  const format = parseFormat(event.split('/')[0], readFileSync(join(FIXTURES, event), 'utf8'));
  assert.ok(!('error' in format));
  return format;
}

function switchWith(printFmt: string): EventFormat {
  return { system: 'sched', name: 'sched_switch', id: 1, fields: [], printFmt };
}

const HEAD =
  '"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s%s ==> next_comm=%s", REC->prev_comm, REC->prev_pid, REC->prev_prio, ';

/** The print fmt of sched_switch since 4.14. Kernels write its constants with 2, 4 or 8 digits. */
function modern(digits: number): string {
  const hex = (n: number) => `0x${n.toString(16).padStart(digits, '0')}`;
  const report = [0, 1, 2, 4, 8, 16, 32, 64].map(hex).join(' | ');
  const pairs = ['S', 'D', 'T', 't', 'X', 'Z', 'P', 'I']
    .map((s, i) => `{ ${hex(1 << i)}, "${s}" }`)
    .join(', ');
  return `${HEAD}(REC->prev_state & ((((${report}) + 1) << 1) - 1)) ? __print_flags(REC->prev_state & ((((${report}) + 1) << 1) - 1), "|", ${pairs}) : "R", REC->prev_state & (((${report}) + 1) << 1) ? "+" : "", REC->next_comm`;
}

describe('flagPairs', () => {
  it('names softirq vectors', () => {
    assert.deepEqual(flagPairs(fixture('irq/softirq_entry')), [
      [0, 'HI'],
      [1, 'TIMER'],
      [2, 'NET_TX'],
      [3, 'NET_RX'],
      [4, 'BLOCK'],
      [5, 'IRQ_POLL'],
      [6, 'TASKLET'],
      [7, 'SCHED'],
      [8, 'HRTIMER'],
      [9, 'RCU'],
    ]);
  });

  it('names the states of a task', () => {
    const names = flagPairs(fixture('sched/sched_switch'), 'prev_state').map(
      ([value, name]) => `${value}${name}`,
    );
    assert.deepEqual(names, ['1S', '2D', '4T', '8t', '16X', '32Z', '64P', '128I']);
  });

  it('finds the call for a field', () => {
    const printFmt =
      '"{ 9, \\"x\\" } __print_flags(%s", __print_symbolic(REC->kind, { 1, "a" }), __print_flags(REC->kind2 & ~(1|2), "|", { 1UL << 3, "b" "c" })';
    assert.deepEqual(flagPairs({ printFmt }, 'kind'), [[1, 'a']]);
    assert.deepEqual(flagPairs({ printFmt }, 'kind2'), [[8, 'bc']]);
    assert.deepEqual(flagPairs({ printFmt }), [[1, 'a']]);
    assert.deepEqual(flagPairs({ printFmt }, 'kin'), []);
  });

  it('skips names that the kernel did not resolve', () => {
    const printFmt = '"%s", __print_symbolic(REC->x, { FOO_SOFTIRQ, "FOO" }, { (( gfp_t)0x40u), "g, }" })';
    assert.deepEqual(flagPairs({ printFmt }), [[0x40, 'g, }']]);
  });

  it('survives any text', () => {
    const piece = fc.constantFrom(
      '__print_flags(',
      'REC->x',
      ',',
      '{',
      '}',
      '"',
      '\\',
      '(',
      ')',
      '1',
      '"|"',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 60 }), (pieces) => {
        for (const [value, name] of flagPairs({ printFmt: pieces.join('') }, 'x')) {
          assert.equal(typeof value, 'number');
          assert.equal(typeof name, 'string');
        }
      }),
    );
  });
});

describe('switchedOutMask', () => {
  it('is 0xff on 6.18, whose "preempted" is 0x100', () => {
    assert.equal(switchedOutMask(fixture('sched/sched_switch')), 0xff);
  });

  it('is 0xff on kernels since 4.14, however they write it', () => {
    for (const digits of [2, 4, 8]) assert.equal(switchedOutMask(switchWith(modern(digits))), 0xff);
  });

  it('is 0x3ff if "preempted" was 1024', () => {
    const printFmt = `${HEAD}REC->prev_state & (1024-1) ? __print_flags(REC->prev_state & (1024-1), "|", { 1, "S"} , { 2, "D" }, { 4, "T" }, { 8, "t" }, { 16, "Z" }, { 32, "X" }, { 64, "x" }, { 128, "K" }, { 256, "W" }, { 512, "P" }) : "R", REC->prev_state & 1024 ? "+" : "", REC->next_comm`;
    assert.equal(switchedOutMask(switchWith(printFmt)), 0x3ff);
  });

  it('throws if the states are not named', () => {
    assert.throws(
      () => switchedOutMask(switchWith('"%d", REC->prev_state')),
      /sched:sched_switch.*prev_state/,
    );
  });
});

describe('constantValue', () => {
  const values: [string, number | undefined][] = [
    ['42', 42],
    ['0x00000001', 1],
    ['010', 8],
    ['(1UL << 3) | 2', 10],
    ['1 + 2 * 3', 7],
    ['((((0x0000 | 0x0001 | 0x0040) + 1) << 1) - 1)', 131],
    ['(unsigned long)(( gfp_t)0x40u)', 64],
    ['-1', -1],
    ['~(1 | 2)', -4],
    ['6 & ~2 ^ 1', 5],
    ['0xffffffffULL', 4294967295],
    ['FOO', undefined],
    ['(FOO)', undefined],
    ['1 2', undefined],
    ['(1', undefined],
    ['1 +', undefined],
    ['', undefined],
    ['1 << 99999999', undefined],
    ['08', undefined],
    ['1 ? 2 : 3', undefined],
  ];
  for (const [text, value] of values) {
    it(`${JSON.stringify(text)} is ${value}`, () => assert.equal(constantValue(text), value));
  }

  it('does not overflow the stack', () => {
    assert.equal(constantValue('('.repeat(100_000)), undefined);
    assert.equal(constantValue('~'.repeat(100_000)), undefined);
  });
});
