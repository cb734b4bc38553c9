import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseFields, parseFormat } from '../../../src/decode/format.ts';
import type { EventFormat, FieldFormat } from '../../../src/model/format.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/formats-6.18');
const COMMON = `\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;
`;

function text(fields: string, printFmt = '"%d", REC->a'): string {
  return `name: probed\nID: 42\nformat:\n${COMMON}\n${fields}\nprint fmt: ${printFmt}\n`;
}

function parsed(input: string): EventFormat {
  const format = parseFormat('test', input);
  assert.ok(!('error' in format), JSON.stringify(format));
  return format;
}

function field(declaration: string, size = 8): FieldFormat {
  const format = parsed(text(`\tfield:${declaration};\toffset:8;\tsize:${size};\tsigned:0;`));
  assert.equal(format.fields.length, 5);
  return format.fields[4];
}

function failure(input: string): string {
  const format = parseFormat('test', input);
  assert.ok('error' in format);
  return format.error;
}

describe('parseFormat', () => {
  it('reads sched_switch of 6.18', () => {
    const format = parsed(readFileSync(join(FIXTURES, 'sched/sched_switch'), 'utf8'));
    assert.equal(format.name, 'sched_switch');
    assert.equal(format.fields.length, 11);
    assert.deepEqual(
      format.fields.find((f) => f.name === 'prev_state'),
      {
        name: 'prev_state',
        type: 'long',
        offset: 32,
        size: 8,
        signed: true,
        array: false,
        location: 'inline',
      },
    );
    assert.deepEqual(
      format.fields.find((f) => f.name === 'next_comm'),
      {
        name: 'next_comm',
        type: 'char',
        offset: 40,
        size: 16,
        signed: false,
        array: true,
        location: 'inline',
      },
    );
    assert.ok(format.printFmt.startsWith('"prev_comm=%s'));
    assert.ok(format.printFmt.endsWith('REC->next_prio'));
  });

  it('reads every fixture', () => {
    for (const entry of readdirSync(FIXTURES, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const input = readFileSync(join(entry.parentPath, entry.name), 'utf8');
      const format = parsed(input);
      assert.equal(format.name, entry.name);
      assert.equal(format.fields.length, input.match(/field:/g)?.length);
    }
  });

  it('accepts the additional common fields of 5.10-rt', () => {
    const format = parsed(`name: sched_wakeup
ID: 317
format:
${COMMON}\tfield:unsigned char common_migrate_disable;\toffset:8;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_lazy_count;\toffset:9;\tsize:1;\tsigned:0;

\tfield:char comm[16];\toffset:12;\tsize:16;\tsigned:1;
\tfield:pid_t pid;\toffset:28;\tsize:4;\tsigned:1;

print fmt: "comm=%s pid=%d", REC->comm, REC->pid
`);
    assert.equal(format.fields.find((f) => f.name === 'pid')?.offset, 28);
    assert.equal(format.fields.find((f) => f.name === 'common_preempt_lazy_count')?.offset, 9);
  });

  const declarations: [string, Partial<FieldFormat>][] = [
    ['unsigned long args[6]', { name: 'args', type: 'unsigned long', array: true }],
    ['unsigned long args[]', { name: 'args', type: 'unsigned long', array: true }],
    ['char[16] name', { name: 'name', type: 'char', array: true }],
    ['char comm[TASK_COMM_LEN]', { name: 'comm', type: 'char', array: true }],
    ['char buf[(16 + 2)*2]', { name: 'buf', type: 'char', array: true }],
    ['__data_loc char[] name', { name: 'name', type: '__data_loc char', array: true, location: 'data_loc' }],
    ['__rel_loc char[] name', { name: 'name', type: '__rel_loc char', array: true, location: 'rel_loc' }],
    ['__data_loc cpumask_t *[] cpus', { name: 'cpus', type: '__data_loc cpumask_t *', location: 'data_loc' }],
    ['__data_loc cpumask_t cpumask', { name: 'cpumask', array: true, location: 'data_loc' }],
    ['cpumask_t *mask', { name: 'mask', type: 'cpumask_t *', array: false, location: 'inline' }],
    ['const char *const * argv', { name: 'argv', type: 'const char *const *', array: false }],
    ['struct  task_struct\t*tsk', { name: 'tsk', type: 'struct task_struct *', array: false }],
    ['void __seg_gs * base', { name: 'base', type: 'void __seg_gs *' }],
    ['void (*func)(struct work_struct *work)', { name: 'func', type: 'void (*)(struct work_struct *work)' }],
    ['enum xfs_refc_domain domain', { name: 'domain', type: 'enum xfs_refc_domain' }],
  ];
  for (const [declaration, expected] of declarations) {
    it(`understands "${declaration}"`, () => assert.partialDeepStrictEqual(field(declaration), expected));
  }

  it('accepts spaces for tabs, and a missing `signed`', () => {
    const format = parsed(`name: old
ID: 7
format:
  field:unsigned short common_type;  offset:0; size:2;
  field:int common_pid;  offset:4; size:4;
  field special:char comm[16]; offset:8; size:16;
  field:unsigned int n; offset:24; size:4;
  field:s64 delta; offset:28; size:8;
  field:long * where; offset:36; size:8;

print fmt: "%d", REC->n
`);
    assert.deepEqual(
      format.fields.map((f) => [f.name, f.signed]),
      [
        ['common_type', false],
        ['common_pid', true],
        ['comm', false],
        ['n', false],
        ['delta', true],
        ['where', false],
      ],
    );
  });

  it('accepts a print fmt that is missing, empty, or looks like a field', () => {
    assert.equal(parsed(`name: a\nID: 1\nformat:\n${COMMON}`).printFmt, '');
    assert.equal(parsed(text('', '')).printFmt, '');
    const odd = parsed(text('', '"field:int x;\\n offset:1;"\nfield:nonsense'));
    assert.equal(odd.fields.length, 4);
  });

  it('names the line that it cannot understand', () => {
    assert.match(failure(''), /name/);
    assert.match(failure('name: a\n'), /ID/);
    assert.match(failure('name: a\nID: 65536\n'), /65536.*16 bits/);
    assert.match(failure('name: a\nID: 1\nformat:\n'), /no fields/);
    assert.match(failure(text('\tfield:int broken;\toffset:x;\tsize:4;\tsigned:1;')), /int broken/);
    assert.match(failure(text('\tfield:lonely;\toffset:8;\tsize:4;\tsigned:1;')), /lonely/);
    assert.ok(failure(text(`\tfield:${'x'.repeat(5000)}`)).length < 300);
  });

  it('never throws', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'name: a\n',
        'ID: 1\n',
        'format:\n',
        '\tfield:',
        'int x',
        ';\toffset:',
        '0;',
        '\tsize:',
        '\n',
      ),
      fc.constantFrom(
        'signed:1;',
        'print fmt: ',
        '[',
        ']',
        '(*',
        ')',
        '__data_loc ',
        '99999999999999999999;',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const format = parseFormat('test', pieces.join(''));
        assert.ok('error' in format || format.fields.length > 0);
      }),
    );
  });
});

describe('parseFields', () => {
  it('reads a header_page', () => {
    const fields = parseFields(
      '\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n',
    );
    assert.ok(!('error' in fields));
    assert.deepEqual(
      fields.map((f) => [f.name, f.type, f.offset, f.size]),
      [
        ['timestamp', 'u64', 0, 8],
        ['commit', 'local_t', 8, 8],
      ],
    );
  });
});
