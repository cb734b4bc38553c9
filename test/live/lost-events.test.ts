/**
 * Makes calls during which the kernel loses events: while the agent is stopped, the last CPU overwrites its small
 * buffer. The trace of such a call must say that it is incomplete, and show no cause from before the end of the loss.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { onlineCpus } from '../../src/host/cpus.ts';
import { makeBench, needTool } from '../support/agent.ts';
import { allBelow, python, rootsOf, startTraced } from '../support/traced.ts';

const bench = makeBench('lost-events');
const ROUNDS = 10;

before(() => {
  needTool('python3', 'python3');
  needTool('taskset', 'util-linux');
});

/** On CPU 0, a reader of a pipe waits for a writer that sleeps. */
const READS = `
import json, os, signal, sys, time
open('/proc/self/comm', 'w').write('ftl-reader')
os.sched_setaffinity(0, [0])
mine, theirs = os.pipe()
if os.fork() == 0:
    signal.alarm(60)
    for i in range(${ROUNDS}):
        time.sleep(0.5)
        os.write(theirs, b'x')
    os._exit(0)
for i in range(${ROUNDS}): os.read(mine, 1)
print(json.dumps({'pid': os.getpid()}))
`;

/** Makes calls on a CPU, with precedence over other tasks, whenever it is not stopped by SIGSTOP. */
const FLOOD = `
import os, signal, sys
signal.alarm(120)
os.setsid()
try: open('/proc/self/autogroup', 'w').write('-20')
except FileNotFoundError: pass
os.sched_setaffinity(0, [int(sys.argv[1])])
os.kill(os.getpid(), signal.SIGSTOP)
while True: os.getppid()
`;

it('a trace says that events were lost, and names no cause from before', async (t) => {
  const other = onlineCpus().at(-1) ?? 0;
  if (other === 0) {
    t.skip('needs two CPUs');
    return;
  }
  const { agent, settledSpans } = await startTraced(
    bench,
    { kinds: { syscalls: { threshold: '20ms', include: ['read'], processes: ['ftl-reader'] } } },
    { probes: { syscalls: { enabled: true } }, buffer: { per_cpu: '256KiB' } },
  );
  const flood = spawn('python3', ['-c', FLOOD, String(other)], { stdio: 'ignore' });
  bench.atEnd(() => void flood.kill('SIGKILL'));
  await sleep(2000);
  const reads = python<{ pid: number }>(READS);
  const stops: { from: bigint; to: bigint }[] = [];
  let isOver = false;
  const stopAndGo = async () => {
    while (!isOver) {
      const from = BigInt(Date.now()) * 1_000_000n;
      agent.child.kill('SIGSTOP');
      flood.kill('SIGCONT');
      await sleep(150);
      flood.kill('SIGSTOP');
      agent.child.kill('SIGCONT');
      stops.push({ from, to: BigInt(Date.now()) * 1_000_000n });
      await sleep(400);
    }
  };
  const stopping = stopAndGo();
  const { pid } = await reads.finally(() => {
    isOver = true;
  });
  await stopping;
  const spans = await settledSpans((some) => rootsOf(some, pid, 'syscall read').length > 0);
  const lost = (await agent.scrape()).sum('ftrace_exporter_events_lost_total');
  assert.ok(lost > 0, 'the kernel has lost events');
  const calls = rootsOf(spans, pid, 'syscall read');
  let incomplete = 0;
  for (const call of calls) {
    const { attributes } = call;
    const during = stops.filter(({ from, to }) => from > call.start && to < call.end);
    console.log(
      `${(Number(call.end - call.start) / 1e6).toFixed(1)} ms, ${during.length} stops: ${attributes['ftrace.summary']}`,
    );
    // A span that may stand for several calls begins at the end of the loss, so no stop lies within it.
    if (attributes['ftrace.incomplete'] === true) incomplete++;
    if (during.length === 0) continue;
    assert.equal(attributes['ftrace.incomplete'], true);
    assert.match(String(attributes['ftrace.summary']), /not known; incomplete, because events were lost$/);
    const stoppedAt = during[during.length - 1].from;
    for (const span of allBelow(spans, call).filter(({ parentSpanId }) => parentSpanId !== call.spanId))
      assert.ok(span.start > stoppedAt, `${span.name} begins before events were lost`);
  }
  assert.ok(incomplete > 0, 'no call has a trace');
  assert.equal(await agent.stop(), 0, agent.stderr());
});
