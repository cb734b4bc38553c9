/** Plans after a reload: which probes continue, which are made again, and which series stay. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { endProbes } from '../../../src/agent/plan/kept-probes.ts';
import {
  type EnabledProbe,
  type EventPlan,
  type PlanInput,
  planEvents,
} from '../../../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { schemaKit } from '../../../src/config/units.ts';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import { createSnapshotReader } from '../../../src/metrics/snapshot-reader.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import type { IntervalSinks } from '../../../src/model/intervals.ts';
import { irq } from '../../../src/probes/irq.ts';
import type { HostFacts, ProbeModule } from '../../../src/probes/probe.ts';
import { sched } from '../../../src/probes/sched.ts';
import { syscalls } from '../../../src/probes/syscalls.ts';
import { fakeContainers } from '../probes/fake-containers.ts';
import { fakeHost, loadFormat, makeRecord } from '../probes/records.ts';

const FORMATS = new URL('../../fixtures/formats-6.18/', import.meta.url);

function probe(module: unknown, options: object = {}, intervals?: IntervalSinks): EnabledProbe {
  const one = module as ProbeModule;
  const parsed = one.schema(schemaKit).parse({ enabled: true, ...options });
  return { module: one, options: parsed, ...(intervals && { intervals }) };
}

function formatText(event: string): string | undefined {
  const file = new URL(event.replace(':', '/'), FORMATS);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

function setUp(host: HostFacts = { ...fakeHost }) {
  const store = new MetricStore();
  const self = makeSelfMetrics(store);
  const missing = new Set<string>();
  const reader = createSnapshotReader();
  let plan: EventPlan | undefined;
  const go = (...enabled: EnabledProbe[]): EventPlan => {
    const before = plan?.made;
    const input: PlanInput = {
      enabled,
      metadata: {
        ...{ clock: 'mono', machine: 'x86_64', kernelRelease: '6.18', cpuCount: 2 },
        events: () => [],
        formatText: (event) => (missing.has(event) ? undefined : formatText(event)),
      },
      ...{ host, store, self, onlineCpus: [0, 1], isSelf: () => false, inParts: true },
    };
    const next = planEvents(input, before);
    endProbes(store, before ?? [], next.made);
    plan = next;
    return next;
  };
  const text = () => {
    const snapshot = reader.expand(store.snapshot(reader.known()));
    const whole = snapshot ?? reader.expand(store.snapshot(reader.known()));
    return createRenderer()
      .render(whole === undefined ? [] : [whole], 'text')
      .toString();
  };
  return { go, text, missing };
}

const madeOf = ({ made }: EventPlan, name: string) =>
  made.find(({ enabled }) => enabled.module.name === name);

test('a probe that stays the same is the same object; a changed one begins again under its own labels', () => {
  const { go, text } = setUp();
  const first = go(probe(sched), probe(irq));
  assert.match(text(), /ftrace_irqs_total\{cpu="1"\} 0/);
  const second = go(probe(sched), probe(irq, { per_cpu: true }));
  assert.equal(madeOf(second, 'sched'), madeOf(first, 'sched'));
  assert.notEqual(madeOf(second, 'irq'), madeOf(first, 'irq'));
  assert.equal(text().match(/^# TYPE ftrace_irq_duration_seconds /gm)?.length ?? 1, 1);
  go(probe(sched));
  assert.doesNotMatch(text(), /ftrace_irq/);
  assert.match(text(), /ftrace_sched_migrations_total 0/);
});

test('a probe whose sink changes goes on with its counters, and one that has none is kept', () => {
  const { go } = setUp();
  const sinks = (): IntervalSinks => ({
    syscalls: { thresholdNs: 1, wants: () => true, watch: () => {}, ended: () => {} },
  });
  const [before, after] = [sinks(), sinks()];
  const first = go(probe(sched, {}, before), probe(syscalls, {}, before));
  const again = go(probe(sched, {}, before), probe(syscalls, {}, before));
  assert.deepEqual(again.made, first.made);
  const second = go(probe(sched, {}, after), probe(syscalls, {}, after));
  assert.equal(madeOf(second, 'sched'), madeOf(first, 'sched'));
  assert.notEqual(madeOf(second, 'syscalls'), madeOf(first, 'syscalls'));
  assert.equal(madeOf(second, 'syscalls')?.metrics, madeOf(first, 'syscalls')?.metrics);
});

test('an event that has come makes the probe again', () => {
  const { go, missing } = setUp();
  missing.add('sched:sched_migrate_task');
  const first = go(probe(sched));
  missing.clear();
  const second = go(probe(sched));
  assert.ok(!first.events.includes('sched:sched_migrate_task'));
  assert.ok(second.events.includes('sched:sched_migrate_task'));
  assert.equal(madeOf(second, 'sched')?.metrics, madeOf(first, 'sched')?.metrics);
});

test('what a probe has counted since metrics were read is not lost when it is made again', () => {
  const { go, text, missing } = setUp();
  missing.add('sched:sched_migrate_task');
  const { dispatcher } = go(probe(sched));
  const record = makeRecord('sched:sched_wakeup', { ts: 1, cpu: 1, pid: 7, target_cpu: 1 });
  dispatcher.call(dispatcher.slots[loadFormat('sched:sched_wakeup')?.id ?? 0], record);
  missing.clear();
  go(probe(sched));
  assert.match(text(), /^ftrace_sched_wakeups_total\{cpu="1"\} 1$/m);
});

test('another table of containers makes probes with series by container again; the old table calls none of them', () => {
  const tables = [fakeContainers([['', '', 'a']]), fakeContainers([['', '', 'b']])];
  const calls = tables.map(() => 0);
  for (const [i, table] of tables.entries())
    table.onRelease = () => {
      calls[i]++;
      return () => calls[i]--;
    };
  const host = { ...fakeHost, containers: tables[0] };
  const { go } = setUp(host);
  const by = (module: unknown) => ({
    ...probe(module, { per_container: true }),
    containers: host.containers,
  });
  const first = go(probe(irq), by(sched), by(syscalls));
  assert.deepEqual(go(probe(irq), by(sched), by(syscalls)).made, first.made);
  assert.ok(calls[0] > 1, `${calls[0]}`);
  host.containers = tables[1];
  const second = go(probe(irq), by(sched), by(syscalls));
  assert.equal(madeOf(second, 'irq'), madeOf(first, 'irq'));
  assert.notEqual(madeOf(second, 'sched'), madeOf(first, 'sched'));
  assert.notEqual(madeOf(second, 'syscalls')?.metrics, madeOf(first, 'syscalls')?.metrics);
  assert.equal(calls[0], 0);
  go(probe(irq));
  assert.equal(calls[1], 0);
});

test('plans that go back and forth leave nothing', () => {
  const { go, text } = setUp();
  go(probe(sched), probe(irq));
  const before = text();
  for (let i = 0; i < 10; i++) {
    go(probe(sched), probe(irq, { per_cpu: true }));
    text();
    go(probe(sched), probe(irq));
  }
  assert.equal(text(), before);
});

test('a plan does not keep the plans before it in memory', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const { go } = setUp();
  // A separate function, so that no variable of the test refers to the probe.
  const replace = () => {
    const [, first] = go(probe(sched), probe(irq)).made;
    go(probe(sched), probe(irq, { per_cpu: true }));
    return new WeakRef(first.probe);
  };
  const replaced = replace();
  const last = go(probe(sched), probe(irq));
  // Reading a WeakRef keeps its target alive until the end of the current task, so wait before each collection.
  for (let i = 0; i < 10 && replaced.deref() !== undefined; i++) {
    await setImmediate();
    gc();
  }
  assert.equal(replaced.deref(), undefined);
  assert.equal(last.made.length, 2);
});
