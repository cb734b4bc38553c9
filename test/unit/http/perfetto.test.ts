/** The export for Perfetto must have all spans with their times. Spans on one track must be nested. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { perfettoJson } from '../../../src/http/pages/perfetto.ts';
import type { SpanRecord, TraceRecord } from '../../../src/model/span.ts';

interface Event {
  name: string;
  ph: string;
  ts: number;
  dur: number;
  pid: number;
  tid: number;
  args: Record<string, unknown>;
}

const SECOND = 1_764_000_000;

/** Checks the fields of the Trace Event Format, for complete events ("X") and metadata ("M"). */
function assertFormat(event: Event): void {
  const { name, ph, ts, dur, pid, tid, args, ...others } = event as Event & { cat?: string };
  assert.equal(typeof name, 'string');
  assert.ok(Number.isInteger(pid) && Number.isInteger(tid) && pid > 0 && tid > 0);
  assert.ok(typeof args === 'object' && args !== null);
  if (ph === 'M') {
    assert.deepEqual([name, typeof args.name, ts, dur], ['process_name', 'string', undefined, undefined]);
    return;
  }
  assert.equal(ph, 'X');
  assert.ok(Number.isFinite(ts) && ts >= 0 && Number.isFinite(dur) && dur >= 0, `${ts} ${dur}`);
  assert.deepEqual(Object.keys(others), ['cat']);
}

function span(id: number, parent: number, startNs: number, durationNs: number): SpanRecord {
  const endNs = startNs + durationNs;
  return {
    name: `span ${id}`,
    spanId: id.toString(16).padStart(16, '0'),
    parentSpanId: parent === 0 ? '' : parent.toString(16).padStart(16, '0'),
    start: [SECOND + Math.floor(startNs / 1e9), startNs % 1e9],
    end: [SECOND + Math.floor(endNs / 1e9), endNs % 1e9],
    durationNs,
    attributes: { 'thread.name': '</script>' },
  };
}

function traceOf(spans: SpanRecord[]): TraceRecord {
  return {
    kind: 'syscalls',
    traceId: 'ab'.repeat(16),
    spans,
    weightNs: spans[0].durationNs,
    pruned: 0,
    resource: { 'container.id': 'c0ffee' },
    exemplars: [],
  };
}

test('spans become complete events in microseconds, exact to the nanosecond', () => {
  const trace = traceOf([span(1, 0, 999_999_999, 5_000_001), span(2, 1, 1_000_000_001, 1_234_567)]);
  const { traceEvents, displayTimeUnit, otherData } = JSON.parse(perfettoJson([trace]));
  assert.equal(displayTimeUnit, 'ns');
  assert.equal(otherData.start, '2025-11-24T16:00:00.999999999Z');
  const [meta, root, child] = traceEvents as Event[];
  assert.deepEqual([meta.ph, meta.args.name], ['M', 'span 1 (syscalls)']);
  assert.deepEqual([root.ph, root.ts, root.dur, root.tid], ['X', 0, 5000.001, 1]);
  assert.deepEqual([child.ts, child.dur, child.tid], [0.002, 1234.567, 1]);
  assert.equal(root.args['container.id'], 'c0ffee');
  assert.equal(child.args.parent_span_id, trace.spans[0].spanId);
});

test('whatever the spans are, none is missing and those of a track are nested', () => {
  const part = fc.tuple(fc.nat(1000), fc.nat(1000));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
      const spans = [
        span(1, 0, 0, 2500),
        ...parts.map(([start, length], i) => span(i + 2, 1, start, length)),
      ];
      const { traceEvents } = JSON.parse(perfettoJson([traceOf(spans)])) as { traceEvents: Event[] };
      const complete = traceEvents.filter(({ ph }) => ph === 'X');
      assert.equal(complete.length, spans.length);
      for (const event of traceEvents) assertFormat(event);
      const end = ({ ts, dur }: Event) => Math.round((ts + dur) * 1000);
      for (const a of complete) {
        for (const b of complete) {
          if (a === b || a.tid !== b.tid) continue;
          const [from, to] = [Math.round(a.ts * 1000), end(a)];
          const [begins, ends] = [Math.round(b.ts * 1000), end(b)];
          const isApart = ends <= from || begins >= to;
          const isNested = (begins >= from && ends <= to) || (begins <= from && ends >= to);
          assert.ok(isApart || isNested, `${a.name} ${b.name}`);
        }
      }
    }),
  );
});
