import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { newPrefix, parsePrefix } from '../../../../src/decode/text/prefix.ts';
import { lineOf } from './support.ts';

function parse(line: string) {
  const bytes = Buffer.from(line, 'latin1');
  const prefix = newPrefix();
  const text = parsePrefix(bytes, 0, bytes.length, prefix);
  return text < 0 ? undefined : { ...prefix, text: bytes.subarray(text).toString('latin1') };
}

describe('the front part of a line', () => {
  it('has task, CPU, flags and stamp, to the microsecond', () => {
    const line = '            bash-1977    [003] d.h2. 17284.993652: sched_switch: x\n';
    assert.deepEqual(parse(line), {
      pid: 1977,
      cpu: 3,
      flags: 0x09,
      preemptCount: 2,
      timestampNs: 17284_993652_000,
      isPlainStamp: false,
      text: 'sched_switch: x\n',
    });
  });

  it('keeps all digits of a stamp', () => {
    assert.equal(parse(lineOf('x', { stamp: '9007199.254741' }))?.timestampNs, 9007199254741000);
  });

  it('is found after a name of any bytes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 255 }), { maxLength: 15 }),
        fc.integer({ min: 0, max: 4_194_304 }),
        fc.integer({ min: 0, max: 8191 }),
        (name, pid, cpu) => {
          const comm = Buffer.from(name).toString('latin1');
          const prefix = parse(lineOf('text', { comm, pid, cpu }));
          assert.deepEqual([prefix?.pid, prefix?.cpu, prefix?.text], [pid, cpu, 'text\n']);
        },
      ),
    );
  });

  it('has flags of four, five or seven characters, or none', () => {
    const flags = (text: string) => {
      const prefix = parse(lineOf('x', { flags: text }));
      return prefix && [prefix.flags, prefix.preemptCount];
    };
    assert.deepEqual(flags('dNh1'), [0x01 | 0x24 | 0x08, 1]);
    assert.deepEqual(flags('..s2.'), [0x10, 2]);
    assert.deepEqual(flags('Dnz31'), [0x81 | 0x04 | 0x40, 0x13]);
    assert.deepEqual(flags('d..h3..'), [0x09, 3]);
    assert.deepEqual(flags('dN.H1..'), [0x01 | 0x24 | 0x18, 1]);
    assert.deepEqual(flags('...Z.11'), [0x48, 0]);
    const line = '            bash-1977    [003] 17284.993652: x\n';
    assert.equal(parse(line.replace('[003] ', '[003]  '))?.timestampNs, 17284_993652_000);
  });

  it('can have a thread group', () => {
    const line = (group: string) => `            bash-1977    ${group} [003] d.h2. 17284.993652: x\n`;
    assert.equal(parse(line('(   1977)'))?.cpu, 3);
    assert.equal(parse(line('(-------)'))?.cpu, 3);
  });

  it('can have a stamp that is not a time', () => {
    const line = '            bash-1977    [003] d.h2.      1234567: x\n';
    assert.deepEqual(parse(line)?.timestampNs, 1234567);
    assert.equal(parse(line)?.isPlainStamp, true);
  });

  it('does not match texts that only resemble it', () => {
    for (const line of [
      '',
      '\n',
      ' => do_syscall_64 ---------------- [000] 1.2: \n',
      lineOf('x').replace('] ', ']'),
      lineOf('x').replace('[000', '(000'),
      lineOf('x').replace('.345678', '.3456'),
      lineOf('x').replace(': x', ' x'),
      lineOf('x').replace('-7 ', '-x '),
      lineOf('x').replace('12.34', 'x2.34'),
      lineOf('x', { cpu: 1234567890 }),
      lineOf('x', { flags: 'dNh1.1.1.1' }),
    ]) {
      assert.equal(parse(line), undefined, line);
    }
  });

  it('never reads past the end', () => {
    const line = lineOf('x');
    const bytes = Buffer.from(line);
    for (let end = 0; end < line.indexOf(': ') + 2; end++) {
      assert.equal(parsePrefix(bytes, 0, end, newPrefix()), -1);
    }
  });
});
