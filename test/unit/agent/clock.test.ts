import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeTraceClock } from '../../../src/agent/stream/clock.ts';

const dir = mkdtempSync(join(tmpdir(), 'trace-clock-'));
after(() => rmSync(dir, { recursive: true }));

/** By how many seconds the trace clock is behind the process' own clock if `timens_offsets` has this text. Rounded. */
function behind(text: string | undefined): number {
  const file = join(dir, 'timens_offsets');
  if (text === undefined) rmSync(file, { force: true });
  else writeFileSync(file, text);
  const traceNow = makeTraceClock(file);
  const [seconds, nanoseconds] = process.hrtime();
  return Math.round((seconds * 1e9 + nanoseconds - traceNow()) / 1e9) || 0;
}

test("the trace's clock is the process' own, except for the offset of a time namespace", () => {
  assert.equal(behind(undefined), 0);
  assert.equal(behind('monotonic           0         0\nboottime            0         0\n'), 0);
  assert.equal(behind('monotonic        3600         0\nboottime            0         0\n'), 3600);
  assert.equal(behind('monotonic        -601 400000000\nboottime          100         0\n'), -601);
  assert.equal(behind('nonsense\n'), 0);
});
