/** Replays of the kernel's text, also of damaged files. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { UsageError } from '../../../src/model/errors.ts';
import { replayed } from '../../support/replayed.ts';

const dir = mkdtempSync(join(tmpdir(), 'replay-text-'));
after(() => rmSync(dir, { recursive: true }));

const TIMERLAT = `# tracer: timerlat
#
          <idle>-0       [000] d.h1.    27.657658: #1     context    irq timer_latency     98680 ns
      timerlat/0-484     [000] ....1    27.657917: #1     context thread timer_latency    446703 ns
        timerlat-484     [000] ....1    27.657999: #1     context user-ret timer_latency    500000 ns
`;

function replay(text: string | Uint8Array, probe: string) {
  const file = join(dir, 'trace.txt');
  writeFileSync(file, text);
  return replayed(file, [probe]);
}

test('every context of timerlat, also that of user space', () => {
  const { value, warnings } = replay(TIMERLAT, 'timerlat');
  for (const [context, seconds] of Object.entries({ irq: 98680e-9, thread: 446703e-9, user: 500000e-9 })) {
    assert.equal(value('ftrace_timerlat_latency_seconds_count', { context }), 1, context);
    assert.equal(value('ftrace_timerlat_latency_seconds_sum', { context }), seconds);
  }
  assert.equal(value('ftrace_exporter_decode_errors_total'), 0);
  assert.deepEqual(warnings, []);
});

test('a file that is cut off is used up to the cut, and a warning names the place', () => {
  const { value, warnings } = replay(TIMERLAT.slice(0, -20), 'timerlat');
  assert.equal(value('ftrace_timerlat_latency_seconds_count'), 2);
  assert.equal(value('ftrace_exporter_decode_errors_total'), 0);
  const at = TIMERLAT.indexOf('        timerlat-484');
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], new RegExp(`ends within line 5, at byte ${at}: `));
});

test('a hole at the end of the text, as a crash leaves it, costs nothing but itself', () => {
  const { value, warnings } = replay(
    Buffer.concat([Buffer.from(TIMERLAT), Buffer.alloc(32 << 20)]),
    'timerlat',
  );
  assert.equal(value('ftrace_timerlat_latency_seconds_count'), 3);
  assert.match(warnings[0], /the last 33554432 bytes are ignored/);
});

test('a file that is neither text nor trace.dat is refused', () => {
  for (const text of ['', '\0\0', 'hello\n', '# tracer: nop\n#\n'])
    assert.throws(() => replay(text, 'timerlat'), UsageError, JSON.stringify(text));
});
