import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOutcomes } from '../../../src/export/otlp/outcomes.ts';

function outcomesOf(signal: 'metrics' | 'traces' = 'metrics') {
  const lines: string[] = [];
  const counted = { exported: 0, failed: 0, rejected: 0 };
  const clock = { nowMs: 0 };
  const log = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  };
  const outcomes = createOutcomes(
    signal,
    {
      count: (outcome) => {
        counted[outcome]++;
      },
      reject: (points) => {
        counted.rejected += points;
      },
    },
    { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    () => clock.nowMs,
  );
  return {
    exported: () => outcomes.take({ accepted: true, rejected: 0, message: '' }),
    failed: (reason: string) => outcomes.take({ accepted: false, reason }),
    rejected: (rejected: number, message: string) => outcomes.take({ accepted: true, rejected, message }),
    ended: outcomes.ended,
    lines,
    counted,
    clock,
  };
}

test('success is counted and not logged', () => {
  const { exported, ended, lines, counted } = outcomesOf();
  exported();
  ended();
  assert.deepEqual([lines, counted], [[], { exported: 1, failed: 0, rejected: 0 }]);
});

test('a backend that is gone for an hour logs one line a minute, with the number of failed pushes', () => {
  const { exported, failed, ended, lines, counted, clock } = outcomesOf();
  for (; clock.nowMs < 3_600_000; clock.nowMs += 10_000) failed('connect ECONNREFUSED');
  assert.equal(counted.failed, 360);
  assert.equal(lines.length, 60);
  assert.equal(
    lines[0],
    'warn OTLP: a push failed {"signal":"metrics","reason":"connect ECONNREFUSED","failed":1}',
  );
  const counts = lines.map((line) => Number(/"failed":(\d+)/.exec(line)?.[1]));
  assert.deepEqual([...new Set(counts.slice(1))], [6]);
  exported();
  assert.equal(lines.at(-1), 'info OTLP: pushing works again {"signal":"metrics","failed":360}');
  ended();
  assert.equal(lines.length, 61);
});

test('a backend that flickers does not fill the log either, and the logged counts miss no failure', () => {
  const { exported, failed, lines, counted, clock } = outcomesOf();
  for (; clock.nowMs < 600_000; clock.nowMs += 500) {
    if ((clock.nowMs / 500) % 2 === 0) failed('HTTP 503');
    else exported();
  }
  assert.ok(lines.length <= 20, String(lines.length));
  assert.deepEqual(counted, { exported: 600, failed: 600, rejected: 0 });
});

test('rejected points are counted, and logged once a minute', () => {
  const { rejected, lines, counted, clock } = outcomesOf();
  for (; clock.nowMs <= 60_000; clock.nowMs += 10_000) rejected(3, 'out of order');
  rejected(0, 'deprecated');
  assert.equal(counted.rejected, 21);
  assert.deepEqual(
    lines.map((line) => Number(/"points":(\d+)/.exec(line)?.[1])),
    [3, 18],
  );
});

test('for traces, rejected spans are counted', () => {
  const { rejected, lines } = outcomesOf('traces');
  rejected(3, 'too old');
  assert.deepEqual(lines, [
    'warn OTLP: the backend rejected part of a push {"signal":"traces","reason":"too old","spans":3}',
  ]);
});

test('values that did not arrive at the end are logged, however recent the last line is', () => {
  const { failed, ended, lines } = outcomesOf();
  failed('a');
  failed('b');
  ended();
  assert.equal(
    lines.at(-1),
    'warn OTLP: the last push failed; its data is lost {"signal":"metrics","reason":"b"}',
  );
});
