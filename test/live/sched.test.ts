/**
 * Two threads on CPU 0 wake each other in turn many times: the sched probe must count exactly the switches in the
 * kernel's own accounts of the two. The probe measures all tasks, so this test makes it treat all other tasks as its
 * own. Some virtual machines do not record every event in the idle task (and none on CPUs other than 0). Most switches
 * to the two threads are such events, so the test expects only those that are in the kernel's own text.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { machine } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { planEvents } from '../../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../../src/agent/plan/self-metrics.ts';
import { Pipeline } from '../../src/agent/stream/pipeline.ts';
import { schemaKit } from '../../src/config/units.ts';
import { createRenderer } from '../../src/export/exposition/text.ts';
import { onlineCpus } from '../../src/host/cpus.ts';
import { liveHostFacts } from '../../src/host/facts.ts';
import { MetricStore } from '../../src/metrics/store.ts';
import { sched } from '../../src/probes/sched.ts';
import { writeControl } from '../../src/tracefs/files.ts';
import { createInstance } from '../../src/tracefs/instance.ts';
import { makeBench, needTool, parseScrape, type Scrape, TRACEFS } from '../support/agent.ts';

const bench = makeBench('sched');
const HANDOVERS = 20_000;

/** The first word of the shared memory says whose turn it is, the second how many rounds may run. */
const WORKER = `
  const { workerData, parentPort } = require('node:worker_threads');
  const { words, me } = workerData;
  parentPort.postMessage(Number(require('node:fs').readlinkSync('/proc/thread-self').split('/').at(-1)));
  for (let round = 0; ; round++) {
    Atomics.wait(words, 1, round);
    for (let i = 0; i < ${HANDOVERS}; i++) {
      while (Atomics.load(words, 0) !== me) Atomics.wait(words, 0, 1 - me);
      Atomics.store(words, 0, 1 - me);
      Atomics.notify(words, 0);
    }
    parentPort.postMessage('done');
  }`;

/** Two workers that sleep except during a round. The first `run()` returns their thread ids; later calls are rounds. */
const SCRIPT = `
  const { Worker } = require('node:worker_threads');
  const words = new Int32Array(new SharedArrayBuffer(8));
  const workers = [0, 1].map((me) => new Worker(${JSON.stringify(WORKER)}, { eval: true, workerData: { words, me } }));
  const next = () => Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
  const tids = next();
  let started = false;
  const work = async () => {
    if (!started) { started = true; return tids; }
    const done = next();
    Atomics.add(words, 1, 1);
    Atomics.notify(words, 1);
    await done;
  };`;

interface Account {
  slices: number;
  voluntary: number;
  involuntary: number;
}

/** The kernel's account of a thread that has gone to sleep. schedstat: Documentation/scheduler/sched-stats.rst. */
async function accountAtRest(pid: number, tid: number): Promise<Account> {
  const read = (): Account & { sleeps: boolean } => {
    const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8');
    const count = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)$`, 'm').exec(status)?.[1]);
    return {
      slices: Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[2]),
      voluntary: count('voluntary_ctxt_switches'),
      involuntary: count('nonvoluntary_ctxt_switches'),
      sleeps: /^State:\s+S/m.test(status),
    };
  };
  for (let before = read(); ; ) {
    await sleep(100);
    const now = read();
    // The thread must also sleep, because the number of slices does not grow while it waits for a CPU.
    if (now.slices === before.slices && before.sleeps && now.sleeps) return now;
    before = now;
  }
}

test('the switches of two tasks are those of their own accounts', async (t) => {
  needTool('taskset', 'util-linux');
  const workload = await bench.workload(SCRIPT, { wrapper: ['taskset', '-c', '0'] });
  const tids = await workload.run<number[]>();
  const two = new Set(tids);
  const instance = createInstance(TRACEFS, bench.instanceName('i'));
  bench.atEnd(() => instance.remove());
  const store = new MetricStore();
  const plan = planEvents({
    enabled: [{ module: sched, options: sched.schema(schemaKit).parse({}) }],
    metadata: instance.metadata(),
    host: liveHostFacts({ machine: machine() }),
    onlineCpus: onlineCpus(),
    store,
    self: makeSelfMetrics(store),
    isSelf: (pid) => !two.has(pid),
  });
  instance.prepare({ bufferBytesPerCpu: 32 << 20, subbufferBytes: 16 << 10, clock: 'mono' });
  const pages = instance.openPages();
  const onError = (cpu: number, error: string, cause?: unknown) => {
    throw new Error(`CPU ${cpu}: ${error}`, { cause });
  };
  const pipeline = new Pipeline({ source: pages, layout: instance.metadata().layout, plan, onError });
  // Events of other tasks could be more than the buffer holds.
  writeControl(instance.dir, 'set_event_pid', tids.join(' '));
  instance.enable(plan.events);
  instance.start();
  const accounts = () => Promise.all(tids.map((tid) => accountAtRest(workload.pid, tid)));
  const before = await accounts();
  await workload.run();
  const behind = await accounts();
  instance.stop();
  const switchedIn = tids.map((tid) => {
    const text = readFileSync(join(instance.dir, 'trace'), 'latin1');
    return text.split(new RegExp(` sched_switch: .* next_pid=${tid} `)).length - 1;
  });
  pipeline.flush();
  for (const cpu of onlineCpus()) {
    const { overrun, commitOverrun, droppedEvents } = instance.stats(cpu);
    assert.equal(overrun + commitOverrun + droppedEvents, 0, `events of CPU ${cpu} were lost`);
  }

  const scrape = parseScrape(createRenderer().render([store.snapshot()], 'text').toString());
  const grown = (key: keyof Account) =>
    behind.reduce((sum, account, i) => sum + account[key] - before[i][key], 0);
  t.diagnostic(`${grown('slices')} slices, ${grown('voluntary')} voluntary, ${grown('involuntary')} not`);
  assert.ok(grown('slices') >= HANDOVERS, 'they did not sleep between the handovers');
  const seenIn = switchedIn[0] + switchedIn[1];
  assert.equal(switchesIn(scrape), seenIn);
  // Every switch to the two, except those whose event the kernel did not record.
  const unseen = grown('slices') - seenIn;
  t.diagnostic(`${unseen} switches out of the idle task without an event`);
  assert.ok(unseen >= 0 && unseen <= HANDOVERS / 1000, `${seenIn} events, ${grown('slices')} slices`);
  const switches = (kind: string) => scrape.sum('ftrace_sched_switches_total', { kind });
  assert.equal(switches('voluntary'), grown('voluntary'));
  assert.equal(switches('preempted'), grown('involuntary'));
  assert.equal(scrape.sum('ftrace_sched_switches_total', { cpu: '0' }), grown('slices'));
  assert.equal(scrape.sum('ftrace_exporter_unmatched_total'), 0);
  assert.equal(scrape.sum('ftrace_sched_migrations_total'), 0);
  await workload.end();
});

/** Number of switches to a task. Each counts as a wait or, if the probe does not know when it began, as unmatched. */
function switchesIn(scrape: Scrape): number {
  return (
    scrape.sum('ftrace_sched_runqueue_latency_seconds_count') +
    scrape.sum('ftrace_exporter_unmatched_total', { probe: 'sched' })
  );
}
