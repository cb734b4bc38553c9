/**
 * Probes on the running kernel, with a known amount of work: their counts must be exact. Needs root and tracefs; the
 * disk is a loop device of our own.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { machine, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { planEvents } from '../../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../../src/agent/plan/self-metrics.ts';
import { Pipeline } from '../../src/agent/stream/pipeline.ts';
import { schemaKit } from '../../src/config/units.ts';
import { onlineCpus } from '../../src/host/cpus.ts';
import { liveHostFacts } from '../../src/host/facts.ts';
import { MetricStore } from '../../src/metrics/store.ts';
import { block } from '../../src/probes/block.ts';
import { irq } from '../../src/probes/irq.ts';
import type { ProbeModule } from '../../src/probes/probe.ts';
import { sched } from '../../src/probes/sched.ts';
import { softirq } from '../../src/probes/softirq.ts';
import { syscalls } from '../../src/probes/syscalls.ts';
import { writeControl } from '../../src/tracefs/files.ts';
import { createInstance, type Instance } from '../../src/tracefs/instance.ts';
import { findTracefs } from '../../src/tracefs/mount.ts';

let made = 0;
const instances: Instance[] = [];
after(() => {
  for (const instance of instances) instance.remove();
});

/**
 * Values of all series of a probe after `work`, by `name{label values}`; for histograms the number of values. Repeats
 * the attempt if the events of other programs made the buffer overflow.
 */
function observe(
  module: ProbeModule,
  section: Record<string, unknown>,
  work: () => void,
): Map<string, number> {
  for (let attempt = 1; attempt <= 5; attempt++) {
    const values = observeOnce(module, section, work);
    if (values !== undefined) return values;
  }
  throw new assert.AssertionError({ message: 'events were lost in every attempt' });
}

/** One attempt of `observe`. Returns undefined if events were lost. */
function observeOnce(
  module: ProbeModule,
  section: Record<string, unknown>,
  work: () => void,
): Map<string, number> | undefined {
  const instance = createInstance(findTracefs({ mayMount: false }), `probes-test-${process.pid}-${made++}`);
  instances.push(instance);
  const store = new MetricStore();
  const plan = planEvents({
    enabled: [{ module, options: module.schema(schemaKit).parse(section) }],
    metadata: instance.metadata(),
    host: liveHostFacts({ machine: machine() }),
    onlineCpus: onlineCpus(),
    store,
    self: makeSelfMetrics(store),
    isSelf: () => false,
  });
  assert.deepEqual(
    plan.probes.map(({ up, reason }) => ({ up, reason })),
    [{ up: true, reason: '' }],
  );
  instance.prepare({ bufferBytesPerCpu: 16 << 20, subbufferBytes: 16 << 10, clock: 'mono' });
  const { layout } = instance.metadata();
  const pages = instance.openPages();
  const onError = (cpu: number, error: string, cause?: unknown) => {
    throw new Error(`CPU ${cpu}: ${error}`, { cause });
  };
  const pipeline = new Pipeline({ source: pages, layout, plan, onError });
  // Record only the children of this process, because other programs make the same calls.
  if (module === syscalls) {
    writeControl(instance.dir, 'options/event-fork', '1');
    writeControl(instance.dir, 'set_event_pid', String(process.pid));
  }
  instance.enable(plan.events);
  instance.start();
  work();
  instance.stop();
  pipeline.flush();
  const isWhole = onlineCpus().every((cpu) => {
    const { overrun, commitOverrun, droppedEvents } = instance.stats(cpu);
    return overrun + commitOverrun + droppedEvents === 0;
  });
  pages.close();
  instance.remove();
  if (!isWhole) return undefined;

  const values = new Map<string, number>();
  for (const { spec, seriesCount, labelValues, values: plain, histogram } of store.snapshot().families) {
    for (let s = 0; s < seriesCount; s++) {
      const labels = labelValues.slice(s * spec.labels.length, (s + 1) * spec.labels.length);
      values.set(`${spec.name}{${labels}}`, (histogram?.counts ?? plain)[s]);
    }
  }
  return values;
}

/** Sum of the series whose key begins with `start`. */
function total(values: ReadonlyMap<string, number>, start: string): number {
  let sum = 0;
  for (const [name, value] of values) if (name.startsWith(start)) sum += value;
  return sum;
}

function runNode(script: string): void {
  // Runs on CPU 0, because some virtual machines record no events in the idle task of other CPUs.
  execFileSync('taskset', ['-c', '0', process.execPath, '-e', script]);
}

describe('syscalls', () => {
  const CALLS = 300;
  const links = () =>
    runNode(
      `for (let i = 0; i < ${CALLS}; i++) try { fs.linkSync('/nonexistent/a', '/nonexistent/b') } catch {}`,
    );

  for (const [how, options] of [
    ['by their own events', { include: ['link', 'linkat'] }],
    ['among all', { exclude: ['futex'] }],
  ] as const) {
    it(`are counted exactly, with their errors, ${how}`, () => {
      const values = observe(syscalls, options, links);
      assert.equal(total(values, 'ftrace_syscall_duration_seconds{link'), CALLS);
      const errors =
        total(values, 'ftrace_syscall_errors_total{link,') +
        total(values, 'ftrace_syscall_errors_total{linkat,');
      assert.equal(errors, CALLS);
      assert.ok([...values.keys()].some((name) => /errors_total\{link(at)?,ENOENT\}/.test(name)));
      assert.equal(total(values, 'ftrace_syscall_duration_seconds{unknown'), 0);
    });
  }

  it('children of clone, sigreturn and exit leave nothing unexplained', () => {
    const script = `process.on('SIGUSR1', () => {}); for (let i = 0; i < 20; i++) process.kill(process.pid, 'SIGUSR1');
      for (let i = 0; i < 5; i++) child_process.execFileSync('/bin/true')`;
    const values = observe(syscalls, {}, () => runNode(script));
    assert.ok((values.get('ftrace_syscall_duration_seconds{rt_sigreturn}') ?? 0) > 0);
    assert.equal(total(values, 'ftrace_exporter_unmatched_total{syscalls,late'), 0);
    assert.equal(total(values, 'ftrace_exporter_unmatched_total{syscalls,lost'), 0);
    assert.equal(total(values, 'ftrace_exporter_unmatched_total{syscalls,no_end'), 0);
  });
});

describe('block', () => {
  const dir = mkdtempSync(join(tmpdir(), 'probes-test-'));
  const image = join(dir, 'disk.img');
  writeFileSync(image, Buffer.alloc(8 << 20, 1));
  const device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
  after(() => {
    execFileSync('losetup', ['--detach', device]);
    rmSync(dir, { recursive: true });
  });
  const name = basename(device);
  const stat = () => readFileSync(`/sys/block/${name}/stat`, 'utf8').trim().split(/\s+/).map(Number);
  const dd = (...operands: string[]) => execFileSync('dd', [...operands, 'status=none']);

  /** One flush at the end of the first dd, and one after each write of the second. */
  const FSYNCS = 21;

  it("equals the disk's own statistics", () => {
    let before: number[] = [];
    let behind: number[] = [];
    const values = observe(block, { devices: [name] }, () => {
      before = stat();
      dd('if=/dev/zero', `of=${device}`, 'bs=16k', 'count=100', 'oflag=direct', 'conv=fsync');
      dd('if=/dev/zero', `of=${device}`, 'bs=4k', `count=${FSYNCS - 1}`, 'oflag=direct,sync');
      dd(`if=${device}`, 'of=/dev/null', 'bs=64k', 'count=50', 'iflag=direct');
      dd(`if=${device}`, 'of=/dev/null', 'bs=64k', 'skip=50', 'count=20');
      behind = stat();
    });
    const [reads, , readSectors, , writes, , writeSectors] = behind.map((count, i) => count - before[i]);
    const flushes = behind[15] - before[15];
    assert.ok(
      reads >= 50 && writes >= 120 && flushes >= 1,
      `${reads} reads, ${writes} writes, ${flushes} flushes`,
    );
    const served = (operation: string) => values.get(`ftrace_block_io_device_seconds{${name},${operation}}`);
    const bytes = (operation: string) => values.get(`ftrace_block_io_bytes_total{${name},${operation}}`);
    assert.equal(served('read'), reads);
    // For a bio that only asks for a flush, the disk also counts a write, although no write is issued.
    assert.equal(served('write'), writes - FSYNCS);
    assert.equal(served('flush'), flushes);
    assert.equal(bytes('read'), readSectors * 512);
    assert.equal(bytes('write'), writeSectors * 512);
    assert.equal(total(values, 'ftrace_exporter_unmatched_total{block,'), 0);
  });
});

describe('sched, irq, softirq', () => {
  const SLEEPS = 100;
  const pause = () =>
    runNode(
      `for (let i = 0; i < ${SLEEPS}; i++) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)`,
    );

  it('sched sees tasks wait, and pairs nearly all', () => {
    const values = observe(sched, {}, pause);
    const waits = total(values, 'ftrace_sched_runqueue_latency_seconds');
    assert.ok(waits >= SLEEPS, `${waits} waits`);
    assert.ok(total(values, 'ftrace_sched_switches_total') >= SLEEPS);
    assert.ok(total(values, 'ftrace_sched_wakeups_total') >= SLEEPS);
    assert.equal(total(values, 'ftrace_exporter_unmatched_total{sched,late'), 0);
  });

  it('softirq sees timers and pairs what it sees', () => {
    const values = observe(softirq, {}, pause);
    assert.ok(total(values, 'ftrace_softirq_duration_seconds') > 0);
    assert.equal(total(values, 'ftrace_exporter_unmatched_total{softirq,no_end'), 0);
    assert.equal(total(values, 'ftrace_exporter_unmatched_total{softirq,late'), 0);
  });

  it('irq sees vectors where it is asked to', () => {
    const values = observe(irq, { irq_vectors: true }, pause);
    assert.ok(total(values, 'ftrace_irqs_total') > 0);
    assert.ok(total(values, 'ftrace_irq_duration_seconds') > 0);
    assert.equal(total(values, 'ftrace_exporter_unmatched_total{irq,no_end'), 0);
  });
});
