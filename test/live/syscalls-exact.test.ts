/**
 * A million calls of one syscall. If nothing is lost, all of them are counted. If the buffer is far too small, the
 * reported loss explains what is missing, and no pair spans a loss.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { onlineCpus } from '../../src/host/cpus.ts';
import { parseStats } from '../../src/tracefs/stats.ts';
import { makeBench, type Scrape, settled } from '../support/agent.ts';
import { callsOver, countsExactly } from '../support/exactly.ts';
import { watch } from '../support/witness.ts';

const bench = makeBench('syscalls');
const CALLS = 1_000_000;
const GETPPID = { syscall: 'getppid' };
const DURATION = 'ftrace_syscall_duration_seconds';

const counted = (scrape: Scrape) => scrape.sum(`${DURATION}_count`, GETPPID);
const lost = (scrape: Scrape) => scrape.sum('ftrace_exporter_events_lost_total');

test('a million calls are counted to the last one', async (t) => {
  const workload = await bench.workload(callsOver(2000, CALLS));
  const others = watch(bench, ['getppid'], { not: [workload.pid] });
  const agent = await bench.start({ probes: { syscalls: {} } });
  await countsExactly({ t, agent, others, counted, work: () => workload.run<number>() });
  assert.equal(await agent.stop(), 0, agent.stderr());
  assert.doesNotMatch(agent.stderr(), /another reader takes|has emptied this buffer/);
  await workload.end();
});

/** Both the test and the agent count the calls that take longer than each of these times, in seconds. */
const BOUNDS = [1e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1, 10];

test('with a buffer that is too small, what is missing is reported, and no pair spans a loss', async (t) => {
  // The program reads the clock before and after each call, so its time is an upper bound for the kernel's.
  const workload = await bench.workload(`
    const bounds = ${JSON.stringify(BOUNDS)};
    const work = () => {
      const longer = bounds.map(() => 0);
      const start = performance.now();
      for (let i = 0; i < ${CALLS}; i++) {
        const before = performance.now();
        process.ppid;
        const took = (performance.now() - before) / 1000;
        for (let b = 0; b < bounds.length && took > bounds[b]; b++) longer[b]++;
      }
      return { longer, seconds: (performance.now() - start) / 1000 };
    };`);
  const witness = watch(bench, ['getppid'], { not: [workload.pid] });
  const agent = await bench.start({
    buffer: { per_cpu: '64KiB', subbuffer: '4KiB' },
    drain_interval: '50ms',
    probes: {
      syscalls: { buckets: BOUNDS },
      ...Object.fromEntries(['sched', 'block', 'irq', 'softirq'].map((name) => [name, { enabled: false }])),
    },
  });
  const others = witness.count();
  const { longer, seconds } = await workload.run<{ longer: number[]; seconds: number }>();
  // The agent's own syscalls are recorded too, so the counters stand still only after the kernel stops recording.
  writeFileSync(join(agent.dir, 'tracing_on'), '0');
  let last = -1;
  const scrape = await settled(agent, (now) => {
    const events = now.sum('ftrace_exporter_events_read_total');
    const still = events === last;
    last = events;
    return still;
  });
  const strangers = witness.count() - others;
  t.diagnostic(`${counted(scrape)} counted, ${lost(scrape)} events lost, ${strangers} calls by others`);

  assert.ok(lost(scrape) > 0, 'nothing was lost, so this proves nothing');
  const missing = CALLS - counted(scrape);
  assert.ok(missing <= lost(scrape), `${missing} calls are missing, only ${lost(scrape)} events were lost`);
  assert.ok(scrape.sum('ftrace_exporter_unmatched_total', { probe: 'syscalls', reason: 'lost' }) > 0);

  const sum = scrape.sum(`${DURATION}_sum`, GETPPID);
  assert.ok(sum <= seconds, `${sum} s in the kernel, of ${seconds} s in all`);
  BOUNDS.forEach((bound, i) => {
    const within = scrape.sum(`${DURATION}_bucket`, { ...GETPPID, le: formatted(bound) });
    const recorded = counted(scrape) - within;
    assert.ok(
      recorded <= longer[i] + strangers,
      `${recorded} calls > ${bound} s; the program saw ${longer[i]}`,
    );
  });

  // Now that nothing is recorded, the agent's status, its metrics and the kernel must have the same counts.
  const status = (await (await fetch(`${agent.url}/api/v1/status`)).json()) as {
    capture: {
      loss: { cpu: number; read: number; overrun: number; commitOverrun: number; dropped: number }[];
    };
  };
  const now = await agent.scrape();
  for (const cpu of onlineCpus()) {
    const stats = parseStats(readFileSync(join(agent.dir, `per_cpu/cpu${cpu}/stats`), 'utf8'), cpu);
    const labels = { cpu: String(cpu) };
    assert.equal(now.sum('ftrace_exporter_events_read_total', labels), stats.readEvents);
    assert.equal(
      now.sum('ftrace_exporter_events_lost_total', { ...labels, reason: 'overrun' }),
      stats.overrun,
    );
    const loss = status.capture.loss.find((one) => one.cpu === cpu);
    assert.deepEqual(
      [loss?.overrun, loss?.commitOverrun, loss?.dropped],
      [stats.overrun, stats.commitOverrun, stats.droppedEvents],
    );
  }
  assert.equal(await agent.stop(), 0, agent.stderr());
  assert.doesNotMatch(agent.stderr(), /another reader takes|has emptied this buffer/);
  await workload.end();
});

/** A bound in the text format, which writes numbers as Go does. */
function formatted(bound: number): string {
  return bound < 1e-4 ? bound.toExponential().replace(/e-(\d)$/, 'e-0$1') : String(bound);
}
