import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fieldsRead, meaningOf, WHOLE } from '../../../../src/decode/text/expression.ts';

const number = (field: string, scale = 1, span = WHOLE) => ({ kind: 'number', part: { field, scale, span } });

describe('what an argument says about a field', () => {
  const cases: [string, unknown][] = [
    ['REC->pid', number('pid')],
    ['(unsigned long long)REC->sector', number('sector')],
    ['((unsigned long)(REC->fd))', number('fd')],
    ['((unsigned int) ((REC->dev) >> 20))', number('dev', 2 ** 20)],
    ['((unsigned int) ((REC->dev) & ((1U << 20) - 1)))', number('dev', 1, 2 ** 20)],
    ['(((REC->ioprio) >> 3) & ((1 << 10) - 1))', number('ioprio', 8, 8192)],
    ['(REC->start) / 1000000000UL', number('start', 1e9)],
    ['(REC->start) % 1000000000UL', number('start', 1, 1e9)],
    ['__get_str(name)', { kind: 'text', field: 'name' }],
    ['__get_rel_str(name)', { kind: 'text', field: 'name' }],
    [
      'REC->ret ? "handled" : "unhandled"',
      { kind: 'choice', field: 'ret', mask: WHOLE, whenSet: 'handled', whenClear: 'unhandled' },
    ],
    [
      'REC->prev_state & (((0x0000 | 0x0040) + 1) << 1) ? "+" : ""',
      { kind: 'choice', field: 'prev_state', mask: 130, whenSet: '+', whenClear: '' },
    ],
    [
      '(REC->s & (4 - 1)) ? __print_flags(REC->s & (4 - 1), "|", { 1, "S" }, { 2, "a, (b" }) : "R"',
      {
        kind: 'flags',
        field: 's',
        pairs: [
          [1, 'S'],
          [2, 'a, (b'],
        ],
        delimiter: '|',
        none: 'R',
      },
    ],
    [
      '__print_symbolic(REC->vec, { 0, "HI" }, { 1, "TIMER" })',
      {
        kind: 'symbol',
        part: { field: 'vec', scale: 1, span: WHOLE },
        pairs: [
          [0, 'HI'],
          [1, 'TIMER'],
        ],
      },
    ],
    // The kernel has not replaced the name of this enum by its number.
    ['__print_symbolic(REC->class, { IOPRIO_CLASS_RT, "rt" })', { kind: 'other', mayHoldNewline: false }],
    ['__print_hex(REC->data, 16)', { kind: 'other', mayHoldNewline: false }],
    ['REC->a + REC->b', { kind: 'other', mayHoldNewline: true }],
    ['REC->x > 3 ? "a" : "b"', { kind: 'other', mayHoldNewline: false }],
    ['(void *)((REC->a) & 0xf0)', { kind: 'other', mayHoldNewline: true }],
    ['', { kind: 'other', mayHoldNewline: true }],
  ];
  for (const [expression, meaning] of cases) {
    it(expression, () => assert.deepEqual(meaningOf(expression), meaning));
  }

  it('reads names of fields wherever they are', () => {
    assert.deepEqual(fieldsRead('foo(REC->a, __get_str(b)) + REC->c[3]'), ['a', 'b', 'c']);
  });
});
