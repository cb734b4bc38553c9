/**
 * Turns every tracer of the running kernel on, if possible, and off again. While it is on, its settings must be in
 * force and something must be recorded; afterwards everything must be as before, even if the agent is killed at any
 * moment in between. Works on any kernel, but a kernel with few tracers proves little, so the tests in virtual machines
 * run it too. Needs root and tracefs.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { globMatcher } from '../../src/config/units/globs.ts';
import type { TracerRequest } from '../../src/model/tracer.ts';
import { cleanup } from '../../src/tracefs/cleanup.ts';
import { kernelFeatures } from '../../src/tracefs/features.ts';
import { listFunctions } from '../../src/tracefs/functions.ts';
import { createInstance, type Instance, tracerInstanceName } from '../../src/tracefs/instance.ts';
import { openJournal } from '../../src/tracefs/journal/journal.ts';
import { watchMaxLatency } from '../../src/tracefs/latency.ts';
import { findTracefs } from '../../src/tracefs/mount.ts';
import { takeTopLevel } from '../../src/tracefs/top-level.ts';
import { instanceTracers, offeredTracers, placeOf, startTracer } from '../../src/tracefs/tracers.ts';
import { topLevelTurn, undisturbed } from '../support/top-level.ts';
import { differences, topLevelFiles } from './top-level-files.ts';
import type { ChildTask } from './tracer-child.ts';

const root = findTracefs({ mayMount: true });
const NAME = `ftx-tracers-${process.pid}`;
const CHILD = new URL(`./tracer-child.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url)
  .pathname;
const SIZES = { bufferBytesPerCpu: 1 << 19, subbufferBytes: 4096, clock: 'mono' };
const KILLS = Number(process.env.KILLS ?? 5);

const events = { where: 'instance', reads: 'events', options: {}, knobs: [] } as const;
const latency = {
  where: 'instance',
  reads: 'latency',
  options: { 'function-trace': '0' },
  knobs: [],
} as const;
const filter = { functions: ['vfs_*read', 'vfs_writ?'], notrace: ['vfs_readv'], pids: [], maxDepth: 1 };

/** The last CPU, so that the others stay free for the machine. */
const CPU = String(lastCpu());
/** Settings in an order that kernels refuse: the new period is shorter than the runtime that is still set. */
const NOISE_KNOBS = [
  { file: 'osnoise/cpus', value: CPU },
  { file: 'osnoise/period_us', value: '200000' },
  { file: 'osnoise/runtime_us', value: '20000' },
  { file: 'osnoise/stop_tracing_us', value: '0' },
  { file: 'osnoise/no_such_knob', value: '1', optional: true },
];

const REQUESTS: Readonly<Record<string, TracerRequest>> = {
  function: { ...events, tracer: 'function', functions: { ...filter, pids: [process.pid] } },
  function_graph: { ...events, tracer: 'function_graph', where: 'prefer_instance', functions: filter },
  'function_graph with what is called': {
    ...events,
    tracer: 'function_graph',
    where: 'prefer_instance',
    functions: { ...filter, maxDepth: 3 },
  },
  osnoise: { ...events, tracer: 'osnoise', knobs: NOISE_KNOBS },
  timerlat: {
    ...events,
    tracer: 'timerlat',
    knobs: [
      { file: 'osnoise/cpus', value: CPU },
      { file: 'osnoise/timerlat_period_us', value: '5000' },
    ],
  },
  hwlat: {
    ...events,
    tracer: 'hwlat',
    cpumask: [lastCpu()],
    knobs: [
      { file: 'hwlat_detector/window', value: '200000' },
      { file: 'hwlat_detector/width', value: '20000' },
      { file: 'tracing_thresh', value: '1' },
    ],
  },
  wakeup: { ...latency, tracer: 'wakeup' },
  wakeup_rt: { ...latency, tracer: 'wakeup_rt' },
  wakeup_dl: { ...latency, tracer: 'wakeup_dl' },
  irqsoff: { ...latency, tracer: 'irqsoff' },
  preemptoff: { ...latency, tracer: 'preemptoff' },
  preemptirqsoff: { ...latency, tracer: 'preemptirqsoff' },
};
/** Far more than the tracers need, because `work` makes them record. */
const WITHIN_MS = 20_000;

function lastCpu(): number {
  const online = readFileSync('/sys/devices/system/cpu/online', 'utf8').trim();
  return Number(online.split(/[,-]/).at(-1));
}

/** Calls the traced functions, and wakes a real-time task. */
function work(): void {
  readFileSync('/proc/self/status');
  spawnSync('chrt', ['--fifo', '50', 'true']);
}

async function until(done: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + WITHIN_MS; !done(); await sleep(50)) {
    assert.ok(Date.now() < end, `nothing after ${WITHIN_MS} ms: ${what}`);
    work();
  }
}

function hasRecorded(target: Instance): boolean {
  const cpus = readdirSync(join(target.dir, 'per_cpu')).map((name) => Number(name.slice(3)));
  return cpus.some((cpu) => target.stats(cpu).entries + target.stats(cpu).readEvents > 0);
}

const features = kernelFeatures(root);
const busy = await topLevelTurn();

describe('tracers of this kernel', () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'ftx-tracers-'));
  const place = { stateDir, name: NAME, root };
  let untouched: Map<string, string>;
  beforeEach(() => {
    untouched = topLevelFiles(root);
  });
  after(() => {
    cleanup(root, [NAME], stateDir);
    rmSync(stateDir, { recursive: true });
  });
  const leaveNothing = (note: string) => {
    assert.deepEqual(differences(untouched, topLevelFiles(root)), [], note);
    assert.deepEqual(readdirSync(stateDir), [], note);
    const instances = readdirSync(join(root, 'instances')).filter((name) => name.startsWith(NAME));
    assert.deepEqual(instances, [], note);
  };

  for (const [title, request] of Object.entries(REQUESTS)) {
    const { tracer } = request;
    // Trace only these of the called functions, because an emulated machine stands still if all functions are traced.
    const armed = request.functions?.maxDepth === 3 ? ['vfs_*'] : undefined;
    const missing = features.tracers.includes(tracer)
      ? features.refusedTracers[tracer]
      : 'not in this kernel';
    describe(title, { skip: missing ?? busy ?? false }, () => {
      const works = undisturbed(async (t) => {
        const base = createInstance(root, NAME);
        t.after(base.remove);
        const answer = placeOf(request, offeredTracers(root), instanceTracers(base.dir));
        assert.ok('place' in answer, JSON.stringify(answer));
        t.diagnostic(`runs in ${answer.place === 'top' ? 'the top level' : 'an instance'}`);
        const journal = openJournal(place);
        const target =
          answer.place === 'top'
            ? takeTopLevel(root, journal, tracer)
            : createInstance(root, tracerInstanceName(NAME, tracer));
        t.after(target.remove);
        const read = (file: string) => readFileSync(join(target.dir, file), 'utf8').trim();
        target.prepare(SIZES);
        if (armed !== undefined) target.add('set_ftrace_filter', armed);
        const started = startTracer(target, request, journal);
        assert.deepEqual(started.warnings, []);
        assert.equal(read('current_tracer'), tracer);
        for (const { file, value, optional } of request.knobs)
          if (!optional) assert.equal(readFileSync(join(root, file), 'utf8').trim(), value, file);
        assert.deepEqual(started.reapplyFilter(), []);
        if (request.functions?.maxDepth === 1) {
          assert.match(read('set_ftrace_filter'), /^vfs_read$/m);
          assert.match(read('set_ftrace_filter'), /^vfs_write$/m);
          const matches = globMatcher(request.functions.functions);
          const counted = [...listFunctions(root)].filter(({ name }) => matches(name)).length;
          const inForce = read('set_ftrace_filter').split('\n').length;
          assert.equal(counted, inForce, 'the preview counts what the kernel takes');
        } else if (request.functions !== undefined) {
          assert.match(readFileSync(join(root, 'set_graph_function'), 'utf8'), /^vfs_write$/m);
          assert.equal(readFileSync(join(root, 'max_graph_depth'), 'utf8'), '3\n');
        }
        if (request.reads === 'latency') {
          assert.equal(readFileSync(join(root, 'enabled_functions'), 'utf8'), '');
          target.start();
          await recordsLatencies(target);
        } else {
          const pages = target.openPages();
          target.start();
          await until(() => hasRecorded(target), 'nothing was recorded');
          target.stop();
          pages.close();
        }
        assert.deepEqual(started.stop().problems, []);
        assert.deepEqual(target.remove(), []);
        assert.deepEqual(journal.restore(), { restored: [], problems: [] });
        base.remove();
        leaveNothing(title);
      });
      it('does what was asked for, and is gone afterwards', works);

      const isKilled = undisturbed(async (t) => {
        const task: ChildTask = { ...place, request, ...(armed ? { armed } : {}) };
        let cycleMs = 0;
        let leftovers = 0;
        for (let kill = 0; kill < KILLS; kill++) {
          const child = spawn(process.execPath, [CHILD, JSON.stringify(task)], {
            stdio: ['ignore', 'pipe', 'inherit'],
          });
          const exited = once(child, 'exit');
          const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
          await lines.next();
          const startedAt = performance.now();
          if (kill === 0) {
            await lines.next();
            cycleMs = performance.now() - startedAt;
          }
          const delayMs = Math.random() * cycleMs;
          await sleep(delayMs);
          assert.equal(child.exitCode, null, 'the child ended by itself');
          child.kill('SIGKILL');
          await exited;
          const note = `${title}: kill ${kill} after ${delayMs.toFixed(0)} of ${cycleMs.toFixed(0)} ms`;
          if (
            existsSync(join(root, 'instances', tracerInstanceName(NAME, tracer))) ||
            readdirSync(stateDir).length > 0
          )
            leftovers++;
          assert.deepEqual(cleanup(root, [NAME], stateDir).problems, [], note);
          leaveNothing(note);
        }
        t.diagnostic(`a cycle took ${cycleMs.toFixed(0)} ms; ${leftovers} of ${KILLS} had left something`);
      });
      it(`leaves nothing after ${KILLS} kills and cleanups`, isKilled);
    });
  }
});

/** The watch must report maxima without a call to `look` and, after a reset, again; none may be reported twice. */
async function recordsLatencies(target: Instance): Promise<void> {
  const records: { latencyNs: number; trace: string }[] = [];
  const watch = watchMaxLatency(target.dir, (latencyNs, trace) => records.push({ latencyNs, trace }));
  try {
    // `work` causes no latency of a deadline task.
    if (target.name.endsWith('wakeup_dl')) return;
    await until(() => records.length > 0, 'no latency was met');
    watch.reset();
    const before = records.length;
    await until(() => records.length > before, 'no latency was met after the reset');
    target.stop();
    watch.look();
    for (const { latencyNs, trace } of records) {
      assert.ok(latencyNs > 0);
      assert.match(trace, new RegExp(`^# latency: ${latencyNs / 1000} us, `, 'm'), `${latencyNs}`);
    }
    const traces = records.map(({ trace }) => trace);
    assert.equal(new Set(traces).size, traces.length);
  } finally {
    watch.close();
  }
}
