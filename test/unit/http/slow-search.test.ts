/** The search of `/api/v1/slow`: by text, duration, time and the cell of a heat map; and the export for Perfetto. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeTraceStore } from '../../../src/agent/main/trace-store.ts';
import { readSlowQuery, searchSlow } from '../../../src/http/pages/slow-query.ts';
import type { TraceRecord } from '../../../src/model/span.ts';
import { traceOf } from '../../support/otlp-traces.ts';

const store = makeTraceStore({ kinds: { syscalls: { thresholdNs: 1 }, block: { thresholdNs: 1 } } });
const fast = traceOf('syscalls', { durationNs: 1_000_000, children: 0 });
const slow = traceOf('syscalls', { durationNs: 80_000_000, children: 0 });
const disk = traceOf('block', { durationNs: 20_000_000, children: 1 });
const example: TraceRecord = {
  ...slow,
  resource: { 'k8s.pod.name': 'web-7' },
  exemplars: [
    { metric: 'ftrace_syscall_duration_seconds', labelValues: ['fsync'], valueNs: 80_000_000, spanId: '1' },
  ],
};
store.add([fast, example, disk]);

function search(query: string): string[] {
  const parsed = readSlowQuery(`/api/v1/slow?${query}`, store);
  assert.ok(typeof parsed !== 'string' && parsed.search !== undefined, String(parsed));
  return searchSlow(store, parsed.kind, parsed.search).map(({ traceId }) => traceId);
}

test('text is looked for in names, attributes and resources, whatever its case', () => {
  assert.deepEqual(search('q='), [slow.traceId, disk.traceId, fast.traceId]);
  assert.deepEqual(search('q=WEB-7'), [slow.traceId]);
  assert.deepEqual(search('q=sda'), [disk.traceId]);
  assert.deepEqual(search(`q=${fast.traceId}`), [fast.traceId]);
  assert.deepEqual(search('q=nothing%20of%20it'), []);
});

test('operations of a task come before slower ones in which it only took part', () => {
  const own = traceOf('syscalls', { durationNs: 5_000_000, children: 0 });
  const [root] = own.spans;
  const byTask = makeTraceStore({ kinds: { syscalls: { thresholdNs: 1 } } });
  const attributesOf = (name: string, attributes: Record<string, string>): TraceRecord => {
    const trace = traceOf('syscalls', { durationNs: 90_000_000, children: 1 });
    const [first, child] = trace.spans;
    const other = { ...first, attributes: { 'ftrace.summary': `90 ms: waited behind ${name}` } };
    return { ...trace, spans: [other, { ...child, attributes }] };
  };
  const behind = attributesOf('ledger', { 'thread.name': 'ledger' });
  byTask.add([behind, { ...own, spans: [{ ...root, attributes: { 'thread.name': 'ledger' } }] }]);
  const parsed = readSlowQuery('/api/v1/slow?q=Ledger', byTask);
  assert.ok(typeof parsed !== 'string' && parsed.search !== undefined);
  const ids = searchSlow(byTask, parsed.kind, parsed.search).map(({ traceId }) => traceId);
  assert.deepEqual(ids, [own.traceId, behind.traceId]);
});

test('durations, times and kinds limit it', () => {
  assert.deepEqual(search('min=0.02'), [slow.traceId, disk.traceId]);
  assert.deepEqual(search('min=0.02&kind=block'), [disk.traceId]);
  const [{ end }] = slow.spans;
  const endMs = end[0] * 1000 + end[1] / 1e6;
  assert.deepEqual(search(`min=0.05&since=${Math.floor(endMs)}&until=${Math.ceil(endMs)}`), [slow.traceId]);
  assert.deepEqual(search(`min=0.05&since=${Math.ceil(endMs + 1)}`), []);
  assert.deepEqual(search(`min=0.05&until=${Math.floor(endMs - 1)}`), []);
});

test('a cell of a heat map has the traces that are examples of its durations', () => {
  const cell = 'metric=ftrace_syscall_duration_seconds';
  assert.deepEqual(search(`${cell}&over=0.05&upto=0.1`), [slow.traceId]);
  assert.deepEqual(search(`${cell}&over=0.08&upto=0.1`), []);
  assert.deepEqual(search(`${cell}&over=0.01&upto=0.079`), []);
  assert.deepEqual(search('metric=ftrace_block_io_device_seconds'), []);
});

test('wrong parameters are refused with what would be right', () => {
  const wrong: [query: string, reason: RegExp][] = [
    ['min=fast', /^min must be a number of seconds/],
    ['since=yesterday', /^since must be a time in milliseconds/],
    [`q=${'x'.repeat(201)}`, /^q must have at most 200 characters/],
    ['format=xml', /^format must be json or perfetto/],
    ['format=perfetto', /^format=perfetto requires trace_id/],
  ];
  for (const [query, reason] of wrong) {
    const parsed = readSlowQuery(`/api/v1/slow?${query}`, store);
    assert.match(String(parsed), reason);
  }
});
