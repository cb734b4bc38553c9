import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { logfmtLine, logfmtValue } from '../../../src/cli/logfmt.ts';

const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
console.log(`fast-check seed ${seed}: FC_SEED=${seed} repeats this run`);

test('a line has time, level and message first, then the fields', () => {
  const json =
    '{"level":"warn","time":"2026-01-02T03:04:05.678Z","cpu":3,"list":["a","b c"],"msg":"two words"}\n';
  assert.equal(
    logfmtLine(json),
    'ts=2026-01-02T03:04:05.678Z level=warn msg="two words" cpu=3 list="[\\"a\\",\\"b c\\"]"\n',
  );
});

test('values that could be mistaken for something else are quoted', () => {
  const cases: [unknown, string][] = [
    ['plain-1.2/3:x', 'plain-1.2/3:x'],
    ['', '""'],
    ['a b', '"a b"'],
    ['a=b', '"a=b"'],
    ['say "x"', '"say \\"x\\""'],
    ['back\\slash', '"back\\\\slash"'],
    ['two\nlines\r', '"two\\nlines\\r"'],
    ['\x1b[31mred', '"\\u001b[31mred"'],
    ['\x7f', '"\\u007f"'],
    ['\x9b31m', '"\\u009b31m"'],
    ['right\u202eleft', '"right\\u202eleft"'],
    [true, 'true'],
    [null, 'null'],
    [1.5, '1.5'],
    [{ a: 1 }, '"{\\"a\\":1}"'],
  ];
  for (const [value, expected] of cases) assert.equal(logfmtValue(value), expected);
});

test('whatever a name contains, the result is one line without control characters, and reads back', () => {
  const property = fc.property(fc.string({ unit: 'binary' }), (comm) => {
    const line = logfmtLine(JSON.stringify({ time: 't', level: 'info', msg: 'm', comm }));
    assert.match(line, /^ts=t level=info msg=m comm=[^\x00-\x1f\x7f-\x9f]*\n$/);
    const shown = line.slice('ts=t level=info msg=m comm='.length, -1);
    assert.equal(shown.startsWith('"') ? JSON.parse(shown) : shown, comm.toWellFormed());
  });
  fc.assert(property, { seed });
});

test('keys cannot break the line either', () => {
  assert.equal(
    logfmtLine('{"time":1,"level":"info","msg":"m","a b=\\n":1}'),
    'ts=1 level=info msg=m a_b__=1\n',
  );
});
