/**
 * Declared metrics on recordings, from pages and from text, must measure the same pairs and times as the built-in
 * probes that read the same events.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { replayed } from '../../support/replayed.ts';

const dir = mkdtempSync(join(tmpdir(), 'declared-replay-'));
after(() => rmSync(dir, { recursive: true }));
const FIXTURES = new URL('../../fixtures/', import.meta.url).pathname;

const config = join(dir, 'config.yaml');
writeFileSync(
  config,
  `metrics:
  - name: handler_seconds
    help: Time of interrupt handlers.
    start: irq:irq_handler_entry
    end: irq:irq_handler_exit
    key: [cpu, irq]
    nested: stack
    labels: { handler: start.name }
  - name: vector_seconds_total
    help: Time of soft interrupts.
    start: irq:softirq_entry
    end: irq:softirq_exit
    key: [cpu, common_pid, vec]
    labels: { vector: start.vec }
  - name: switches_total
    help: Switches.
    event: sched:sched_switch
    where: prev_pid != 0
    labels: { next: next_comm }
  - name: nothing_total
    help: Not in this recording.
    event: nosys:nothing
`,
);

for (const file of ['captures/6.12-rt.dat', 'captures/mixed.dat', 'text/6.12-rt.events.txt']) {
  test(`${file}: the numbers of the built-in probes`, () => {
    const { value, off, exposition } = replayed(join(FIXTURES, file), ['irq', 'softirq', 'sched'], config);
    assert.ok(value('ftrace_irq_duration_seconds_count') > 0);
    assert.equal(value('ftrace_handler_seconds_count'), value('ftrace_irq_duration_seconds_count'));
    assert.ok(
      Math.abs(value('ftrace_handler_seconds_sum') - value('ftrace_irq_duration_seconds_sum')) < 1e-9,
    );
    assert.ok(value('ftrace_vector_seconds_total', { vector: 'SCHED' }) > 0, exposition);
    assert.ok(Math.abs(value('ftrace_vector_seconds_total') - value('ftrace_softirq_seconds_total')) < 1e-9);
    assert.equal(value('ftrace_switches_total'), value('ftrace_sched_switches_total'));
    assert.match(off['metrics/nothing_total'], /^this recording has no.*nosys:nothing/);
  });
}
