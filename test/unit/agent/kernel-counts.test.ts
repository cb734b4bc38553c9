/** Counts of hist triggers, from files as the kernel writes them: growth, hits without room, and interference. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openKernelCounts } from '../../../src/agent/live/kernel-counts.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import type { Instance } from '../../../src/tracefs/instance.ts';
import { fakeTracefs } from '../tracefs/fake.ts';

const EVENT = 'raw_syscalls:sys_exit';
const REQUEST = { event: EVENT, keys: ['id', 'ret'], room: 300 };

function hitsOf(entries: string): number {
  return [...entries.matchAll(/hitcount: +(\d+)/g)].reduce((sum, [, hits]) => sum + Number(hits), 0);
}

/** The text about one trigger in the file `hist`, as Linux 6.1 writes it. */
function part(
  entries: string,
  { keys = 'id,ret', hits = hitsOf(entries), dropped = 0, state = 'active' } = {},
): string {
  return `# event histogram
#
# trigger info: hist:keys=${keys}:vals=hitcount:sort=hitcount:size=512 [${state}]
#

${entries}
Totals:
    Hits: ${hits}
    Entries: 1
    Dropped: ${dropped}
`;
}
const entry = (id: number, ret: string, hits: number) =>
  `{ id: ${String(id).padStart(10)}, ret: ${ret.padStart(10)} } hitcount: ${String(hits).padStart(10)}\n`;

function counting(t: TestContext, readme = 'hist:keys=<field1[,field2,...]>') {
  const dir = 'instances/x/events/raw_syscalls/sys_exit';
  const root = fakeTracefs(t, { README: readme, [`${dir}/hist`]: '', [`${dir}/trigger`]: '' });
  const store = new MetricStore();
  const instance = { root, dir: join(root, 'instances/x') } as Instance;
  const counts = openKernelCounts(instance, makeSelfMetrics(store));
  return {
    counts,
    fileIs: (text: string) => writeFileSync(join(root, dir, 'hist'), text),
    trigger: () => readFileSync(join(root, dir, 'trigger'), 'utf8').trim(),
    lost: () => {
      const family = store
        .snapshot()
        .families.find(({ spec }) => spec.name === 'ftrace_exporter_events_lost_total');
      return family?.values[0];
    },
  };
}

function visited(count: { read(visit: (values: readonly bigint[], more: number) => void): void }) {
  const all: string[] = [];
  count.read((values, more) => all.push(`${values.join(' ')}: ${more}`));
  return all;
}

test('a trigger is set with room for a power of two; its growth is counted', (t) => {
  const k = counting(t);
  const count = k.counts.count('metrics/a', REQUEST);
  assert.equal(k.trigger(), 'hist:keys=id,ret:size=512');
  k.fileIs(`${part(entry(9, '1', 99), { keys: 'id' })}\n\n${part(entry(1, '18446744073709551614', 3))}`);
  assert.deepEqual(visited(count), ['1 18446744073709551614: 3']);
  assert.deepEqual(visited(count), []);
  k.fileIs(part(entry(1, '18446744073709551614', 5) + entry(2, '0', 1)));
  assert.deepEqual(visited(count), ['1 18446744073709551614: 2', '2 0: 1']);
  assert.deepEqual(k.counts.health(), { problems: [], notices: [], down: new Map() });
  k.counts.close();
  assert.equal(k.trigger(), '!hist:keys=id,ret:size=512');
  assert.deepEqual(visited(count), []);
});

test('all hits count after another user has cleared the counts', (t) => {
  const k = counting(t);
  const count = k.counts.count('metrics/a', REQUEST);
  k.fileIs(part(entry(1, '0', 5) + entry(2, '0', 1)));
  assert.deepEqual(visited(count), ['1 0: 5', '2 0: 1']);
  // One count is lower than before.
  k.fileIs(part(entry(1, '0', 1) + entry(2, '0', 4)));
  assert.deepEqual(visited(count), ['1 0: 1', '2 0: 4']);
  // One key has no hits yet.
  k.fileIs(part(entry(2, '0', 5)));
  assert.deepEqual(visited(count), ['2 0: 5']);
  // The kernel has no memory to sort the entries.
  k.fileIs(part('', { hits: 5 }));
  assert.deepEqual(visited(count), []);
  k.fileIs(part(entry(1, '0', 8) + entry(2, '0', 6)));
  assert.deepEqual(visited(count), ['1 0: 8', '2 0: 1']);
});

test('a reading without entries shows by its total that another user has cleared the counts', (t) => {
  for (const hits of [0, 3]) {
    const k = counting(t);
    const count = k.counts.count('metrics/a', REQUEST);
    k.fileIs(part(entry(1, '0', 5)));
    assert.deepEqual(visited(count), ['1 0: 5']);
    k.fileIs(part('', { hits }));
    assert.deepEqual(visited(count), []);
    k.fileIs(part(entry(1, '0', 7)));
    assert.deepEqual(visited(count), ['1 0: 7']);
  }
});

test('a count without the total of hits notices a clear by the keys', (t) => {
  const k = counting(t);
  const count = k.counts.count('metrics/a', REQUEST);
  const fileIs = (entries: string) => k.fileIs(part(entries).replace(/ *Hits:.*\n/, ''));
  fileIs(entry(1, '0', 5));
  assert.deepEqual(visited(count), ['1 0: 5']);
  fileIs('');
  assert.deepEqual(visited(count), []);
  fileIs(entry(1, '0', 7));
  assert.deepEqual(visited(count), ['1 0: 2']);
  fileIs(entry(1, '0', 3));
  assert.deepEqual(visited(count), ['1 0: 3']);
});

test('the key common_cpu is found as 7.3 names it', (t) => {
  const k = counting(t);
  const count = k.counts.count('metrics/a', { ...REQUEST, keys: ['id', 'common_cpu', 'common_pid'] });
  k.fileIs(
    part('{ id:  9, common_cpu:  1, common_pid:  7 } hitcount:  3\n', {
      keys: 'id,common_cpucommon_cpu,common_pid',
    }),
  );
  assert.deepEqual(visited(count), ['9 1 7: 3']);
  assert.deepEqual(k.counts.health().problems, []);
});

test('what finds no room is lost', (t) => {
  const k = counting(t);
  const count = k.counts.count('metrics/a', REQUEST);
  // After 6, another user has cleared the counts.
  for (const dropped of [4, 4, 6, 0, 5]) {
    k.fileIs(part('', { dropped }));
    visited(count);
  }
  assert.equal(k.lost(), 11);
});

test('keys and hits without room show together that another user has cleared the counts', (t) => {
  const k = counting(t);
  const count = k.counts.count('metrics/a', REQUEST);
  k.fileIs(part(entry(1, '0', 5), { dropped: 4 }));
  assert.deepEqual(visited(count), ['1 0: 5']);
  k.fileIs(part(entry(1, '0', 1), { dropped: 6 }));
  assert.deepEqual(visited(count), ['1 0: 1']);
  assert.equal(k.lost(), 10);
  k.fileIs(part(entry(1, '0', 7)));
  assert.deepEqual(visited(count), ['1 0: 7']);
  assert.equal(k.lost(), 10);
});

test('a trigger that somebody pauses or removes turns its probe off', (t) => {
  const k = counting(t);
  const count = k.counts.count('metrics/a', REQUEST);
  const isDown = () => k.counts.health().down.has('metrics/a');
  for (const [text, wanted] of [
    [part('', { state: 'paused' }), true],
    [part(''), false],
    [part('', { keys: 'id' }), true],
  ] as const) {
    k.fileIs(text);
    visited(count);
    assert.equal(isDown(), wanted, text);
  }
  assert.match(
    k.counts.health().problems.join(),
    /another user has ended or paused the hist trigger that counts raw_syscalls:sys_exit in/,
  );
});

test('a probe with several counts is off as long as one of them has a problem', (t) => {
  const k = counting(t);
  const counts = [['id'], ['ret']].map((keys) => k.counts.count('events', { ...REQUEST, keys }));
  k.fileIs(`${part('', { keys: 'id', state: 'paused' })}\n\n${part('', { keys: 'ret' })}`);
  counts.map(visited);
  assert.deepEqual([...k.counts.health().down.keys()], ['events']);
  counts[1].end();
  assert.equal(k.counts.health().problems.length, 1);
  counts[0].end();
  assert.deepEqual(k.counts.health(), { problems: [], notices: [], down: new Map() });
});

test('two metrics that count the same share a trigger', (t) => {
  const k = counting(t);
  const [a, b] = ['metrics/a', 'metrics/b'].map((probe) => k.counts.count(probe, REQUEST));
  k.fileIs(part(entry(1, '0', 3)));
  assert.deepEqual([visited(a), visited(b)], [['1 0: 3'], ['1 0: 3']]);
});

test('a kernel without hist triggers is named, with the remedy', (t) => {
  const { counts } = counting(t, 'mini-HOWTO');
  assert.throws(
    () => counts.count('metrics/a', REQUEST),
    /hist: ENOENT — this kernel is built without hist triggers \(CONFIG_HIST_TRIGGERS\): remove count_in/,
  );
  assert.equal(counts.isEmpty(), true);
});
