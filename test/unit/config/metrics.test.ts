/** What `metrics:` accepts. For a mistake, the error must name the place and say what would be right. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadAgentConfig } from '../../../src/agent/main/compose-config.ts';

const root = new URL('../../../', import.meta.url).pathname;
const directory = mkdtempSync(join(tmpdir(), 'ftrace-exporter-metrics-'));
after(() => rmSync(directory, { recursive: true }));

function fileOf(yaml: string): string {
  const file = join(directory, 'config.yaml');
  writeFileSync(file, yaml);
  return file;
}

/** YAML of a metric with a name, a help text and these further lines. */
function metric(name: string, ...lines: string[]): string {
  return ['metrics:', `  - name: ${name}`, '    help: Test.', ...lines.map((line) => `    ${line}`), ''].join(
    '\n',
  );
}

const START = 'start: vmscan:mm_vmscan_direct_reclaim_begin';
const END = 'end: vmscan:mm_vmscan_direct_reclaim_end';
const EVENT = 'event: skb:kfree_skb';

/** Wrong configs, each with its error: `line:column: message`. */
const WRONG: [yaml: string, complaint: string][] = [
  [metric('Drops', EVENT), '2:11: metrics[0].name: "Drops" must be a name of lower-case letters'],
  [
    metric('ftrace_drops_total', EVENT),
    '2:11: metrics[0].name: "ftrace_drops_total" must be a name of lower-case letters, digits and _, without ftrace_',
  ],
  [metric('drops', EVENT), '2:11: metrics[0].name: "drops" is a counter: call it drops_total'],
  [
    metric('reclaim', START, END),
    '2:11: metrics[0].name: "reclaim" is a histogram in seconds: call it reclaim_seconds',
  ],
  [
    metric('size', EVENT, 'value: { field: len, unit: bytes }'),
    '2:11: metrics[0].name: "size" is a histogram in bytes: call it size_bytes',
  ],
  [
    metric('sched_switches_total', EVENT),
    '2:11: metrics[0].name: ftrace_sched_switches_total is already a metric of ftrace-exporter: choose another name',
  ],
  [
    `${metric('a_total', EVENT)}  - { name: a_total, help: Again., event: "a:b" }\n`,
    '5:13: metrics[1].name: a_total is declared twice',
  ],
  [
    'metrics:\n  - name: a_total\n    event: skb:kfree_skb\n',
    '2:5: metrics[0].help: is missing: it must be a string',
  ],
  [metric('a_total', 'evnt: skb:kfree_skb'), '4:5: metrics[0].evnt: unknown key (did you mean "event"?)'],
  [
    metric('a_total', 'event: kfree_skb'),
    '4:12: metrics[0].event: "kfree_skb" must be an event: system:name, as in',
  ],
  [
    metric('a_total', 'event: { event: skb:kfree_skb, were: x > 1 }'),
    '4:36: metrics[0].event.were: unknown key (did you mean "where"?)',
  ],
  [metric('a_seconds', START), '4:12: metrics[0].start: there is a start, but no end: add end'],
  [metric('a_seconds', END), '4:10: metrics[0].end: there is an end, but no start: add start'],
  [metric('a_total'), '2:5: metrics[0]: the event is missing: write event, or start and end'],
  [
    metric('a_total', EVENT, START, END),
    '5:12: metrics[0].start: start is only for a metric with start and end, but this one has event',
  ],
  [
    metric('a_seconds', START, END, 'value: x'),
    '6:12: metrics[0].value: value is only for a metric with event',
  ],
  [
    metric('a_total', EVENT, 'sum: a', 'max: b'),
    '6:10: metrics[0].max: a metric has one of value, sum and max, not sum and max',
  ],
  [
    metric('a_seconds', EVENT, 'value: { field: x, unit: msec }'),
    '5:30: metrics[0].value.unit: "msec" is not one of ns, us, ms, s, jiffies, bytes, pages, none (did you mean "ms"?)',
  ],
  [
    metric('a_total', EVENT, 'where: reason = 2'),
    '5:12: metrics[0].where: "reason = 2" is not a filter: it has "=", which is not allowed in a filter',
  ],
  [
    metric('a_total', EVENT, 'where: name > "x"'),
    '5:12: metrics[0].where: "name > \\"x\\"" is not a filter: it compares the string "x" with >: use ==, != or ~ for strings',
  ],
  [metric('a_total', EVENT, 'where: (reason > 2'), 'is not a filter: it lacks a closing parenthesis'],
  [
    metric('a_seconds', START, END, 'where: x > 1'),
    '6:12: metrics[0].where: where is only for a metric with event; write start: { event: …, where: … }',
  ],
  [
    metric('a_seconds', START, END, 'nested: stacked'),
    '6:13: metrics[0].nested: "stacked" is not one of replace, stack, first (did you mean "stack"?)',
  ],
  [
    metric('a_seconds', START, END, 'key: { field: cid, maks: 3 }'),
    '6:24: metrics[0].key.maks: unknown key (did you mean "mask"?)',
  ],
  [metric('a_seconds', START, END, 'key: { start: cid }'), 'metrics[0].key.end: is missing'],
  [
    metric('a_seconds', START, END, 'labels: { order: order }'),
    '6:22: metrics[0].labels.order: order can be a field of the start or of the end: write start.order or end.order',
  ],
  [
    metric('a_total', EVENT, 'labels: { order: start.order }'),
    '5:22: metrics[0].labels.order: start.order: a metric with event has no start: write order',
  ],
  [
    metric('a_total', EVENT, 'count_in: kernl'),
    '5:15: metrics[0].count_in: "kernl" is not one of agent, kernel (did you mean "kernel"?)',
  ],
  [
    metric('a_total', EVENT, 'sum: len', 'count_in: kernel'),
    '6:15: metrics[0].count_in: count_in: kernel is only for counters of all events, but this metric has sum: remove count_in',
  ],
  [
    metric('a_seconds', START, END, 'count_in: kernel'),
    '6:15: metrics[0].count_in: count_in: kernel is only for counters of all events, but this metric has start',
  ],
  [
    metric('a_total', 'event: { event: "a:b", where: x > 1 }', 'count_in: kernel'),
    '5:15: metrics[0].count_in: count_in: kernel is only for counters of all events, but this metric has where',
  ],
  [
    metric('a_total', EVENT, 'labels: { a: a, b: b, c: c }', 'per_cpu: true', 'count_in: kernel'),
    '7:15: metrics[0].count_in: with count_in: kernel, a metric can have at most 3 labels, but this one has 4 (with the label cpu of per_cpu)',
  ],
  [
    metric('a_total', EVENT, 'labels: { a: { field: a, as: text } }', 'count_in: kernel'),
    '5:18: metrics[0].labels.a: as: text is not possible with count_in: kernel, because the kernel counts only by numbers: remove one of the two',
  ],
  [
    metric('a_total', EVENT, 'labels: { a: { field: a, as: container } }', 'count_in: kernel'),
    '5:18: metrics[0].labels.a: as: container is not possible with count_in: kernel, because the kernel counts only by numbers: remove one of the two',
  ],
  [metric('a_total', EVENT, 'labels: { le: reason }'), '5:19: metrics[0].labels.le: "le" must be a label'],
  [
    metric('a_total', EVENT, 'labels: { r: { field: reason, as: nmes } }'),
    '5:39: metrics[0].labels.r.as: "nmes" is not one of number, hex, text, names,',
  ],
  [
    metric('a_total', EVENT, 'labels: { r: { field: reason, as: map } }'),
    '5:18: metrics[0].labels.r: as: map requires a map, such as map: { 0: ok }',
  ],
  [
    metric('a_total', EVENT, 'labels: { r: { field: reason, default: x } }'),
    'metrics[0].labels.r.default: default is only for as: map',
  ],
  [
    metric('a_seconds', START, END, 'buckets: [-1, 2]'),
    '6:15: metrics[0].buckets[0]: -1 is not between 1ns and 24h',
  ],
  [
    metric('a_bytes', EVENT, 'value: { field: len, unit: bytes }', 'buckets: [64, 1ms]'),
    '6:19: metrics[0].buckets[1]: "1ms" must be a number, because the unit is not a time',
  ],
  [metric('a_total', EVENT, 'buckets: [1]'), '5:14: metrics[0].buckets: buckets is only for histograms'],
  [
    metric('a_total', 'event: { uprobe: malloc }'),
    '4:22: metrics[0].event.uprobe: "malloc" must be PATH:FUNCTION or PATH:0xOFFSET, with the whole path',
  ],
  [
    metric('a_total', 'event: { uprobe: "/lib/x.so:f", kprobe: f }'),
    'has kprobe and uprobe: write exactly one of event, kprobe, kretprobe, uprobe, uretprobe',
  ],
  [
    metric('a_total', 'event: { kprobe: vfs_read, args: { size: "%di;rm" } }'),
    'metrics[0].event.args.size: "%di;rm" must be what to read, as in %di:u64',
  ],
  [
    metric('a_total', 'event: { event: "a:b", args: { size: "%di" } }'),
    'metrics[0].event.args: args is only for kprobes and uprobes: other events already have fields',
  ],
];

test('every mistake has its place and says what would be right', () => {
  for (const [yaml, complaint] of WRONG) {
    const file = fileOf(yaml);
    assert.throws(
      () => loadAgentConfig({ file, env: {} }),
      (error: Error) => {
        assert.ok(error.message.includes(complaint), `${yaml}\n${error.message}\ninstead of\n${complaint}`);
        assert.ok(error.message.startsWith(`${file}:`));
        return true;
      },
    );
  }
});

test('check-config reports all of them, and exits with 2', () => {
  // These configs have one metric each, and the error is in its keys.
  const items = WRONG.slice(8, 16).map(([yaml]) => yaml.slice('metrics:\n'.length));
  const file = fileOf(`metrics:\n${items.join('')}`);
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(root, 'bin/ftrace-exporter.js'), 'check-config', file],
    {
      encoding: 'utf8',
    },
  );
  assert.equal(status, 2);
  for (let i = 0; i < items.length; i++)
    assert.match(stderr, new RegExp(`config.yaml:\\d+:\\d+: metrics\\[${i}\\]`));
});

test('the examples of docs/declared-metrics.md are good', () => {
  const text = readFileSync(join(root, 'docs/declared-metrics.md'), 'utf8');
  const blocks = [...text.matchAll(/```yaml\n([^`]*)```/g)].map(([, yaml]) => yaml);
  assert.ok(blocks.length >= 2);
  for (const yaml of blocks) {
    const file = fileOf(yaml.startsWith('metrics:') ? yaml : `metrics:\n${yaml}`);
    assert.ok(loadAgentConfig({ file, env: {} }).probes.some(({ name }) => name.startsWith('metrics/')));
  }
});

test('a metric is off where its enabled is false', () => {
  const config = loadAgentConfig({ file: fileOf(metric('a_total', EVENT, 'enabled: false')), env: {} });
  assert.ok(config.disabled.includes('metrics/a_total'));
});
