/** Markers of programs in records: which of them are about spans, and to which thread each belongs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { MarkedSpan, MarkerSink } from '../../../src/model/intervals.ts';
import { traceMarkers, USER_EVENT } from '../../../src/probes/helpers/trace-markers.ts';
import { isTraceparent, markerKind } from '../../../src/probes/helpers/traceparent.ts';
import { loadFormat, makeRecord, type RecordFields, run } from './records.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const VALUE = `00-${TRACE}-${SPAN}-01`;

/** The format of a user event (Documentation/trace/user_events.rst), with arrays as the kernel prints them. */
const USER_FORMAT = `name: traceparent
ID: 2001
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:char traceparent[];	offset:8;	size:56;	signed:1;
	field:u8 begin;	offset:64;	size:1;	signed:0;

print fmt: "traceparent=%s begin=%u", REC->traceparent, REC->begin
`;

/** The format of `ftrace:print` in Linux 6.18. */
const PRINT_FORMAT = `name: print
ID: 5
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:unsigned long ip;	offset:8;	size:8;	signed:0;
	field:char buf[];	offset:16;	size:0;	signed:0;

print fmt: "%ps: %s", (void *)REC->ip, REC->buf
`;
const FORMATS = { 'ftrace:print': PRINT_FORMAT, [USER_EVENT]: USER_FORMAT };
const make = (event: string, values: RecordFields) =>
  makeRecord(event, values, loadFormat(event, '6.18', FORMATS));

/** Runs the probe and records calls of the sink as text: `begin 7 100 TRACE SPAN …`. */
function probe() {
  const calls: string[] = [];
  let isOpen = true;
  const tell = (what: string) => (pid: number, atNs: number, marked: MarkedSpan) => {
    calls.push(`${what} ${pid} ${atNs} ${marked.traceId} ${marked.spanId} ${marked.isSampled}`);
  };
  const markers: MarkerSink = {
    takes: () => isOpen,
    malformed: () => calls.push('malformed'),
    began: tell('begin'),
    ended: tell('end'),
    exited: (pid, atNs) => calls.push(`exit ${pid} ${atNs}`),
    lost: (untilNs) => calls.push(`lost ${untilNs}`),
  };
  const { probe } = run(traceMarkers, {}, { intervals: { markers }, formats: FORMATS });
  return {
    calls,
    shut: () => {
      isOpen = false;
    },
    lose: () => probe.onLoss?.(0, 500),
    write: (text: string, by = 7, ts = 100) => {
      const record = make('ftrace:print', { ts, by, ip: 1 });
      const bytes = Buffer.from(`${text}\0`);
      record.bytes.set(bytes, record.offset + 16);
      record.length = 16 + ((bytes.length + 3) & ~3);
      probe.handlers['ftrace:print'](record);
    },
    feed: (event: string, values: RecordFields) => probe.handlers[event](make(event, values)),
  };
}

test('a marker begins and ends a span of the thread that wrote it', () => {
  const { calls, write } = probe();
  write(`traceparent=${VALUE} begin\n`, 7, 100);
  write(`traceparent=${VALUE} end`, 7, 200);
  assert.deepEqual(calls, [`begin 7 100 ${TRACE} ${SPAN} true`, `end 7 200 ${TRACE} ${SPAN} true`]);
});

test('flags say whether it is sampled; other bits mean nothing here', () => {
  const { calls, write } = probe();
  for (const flags of ['00', '01', '02', 'ff', 'fe']) write(`traceparent=00-${TRACE}-${SPAN}-${flags} begin`);
  assert.deepEqual(
    calls.map((call) => call.split(' ').at(-1)),
    ['false', 'true', 'false', 'true', 'false'],
  );
});

test('a later version may have more after the flags', () => {
  const { calls, write } = probe();
  write(`traceparent=01-${TRACE}-${SPAN}-01-what-comes begin`);
  write(`traceparent=cc-${TRACE}-${SPAN}-01 begin`);
  assert.equal(calls.length, 2);
  assert.ok(calls.every((call) => call.startsWith('begin')));
});

test('only markers that name a span and are wrong are reported', () => {
  const wrong = [
    'traceparent=x',
    `traceparent=${VALUE}`,
    `traceparent=${VALUE} `,
    `traceparent=${VALUE} started`,
    `traceparent=${VALUE} begin more`,
    `traceparent=${VALUE} beginning`,
    `traceparent=${VALUE}  begin`,
    `traceparent=${VALUE}\nbegin`,
    `traceparent=${VALUE.toUpperCase()} begin`,
    `traceparent=00-${'0'.repeat(32)}-${SPAN}-01 begin`,
    `traceparent=00-${TRACE}-${'0'.repeat(16)}-01 begin`,
    `traceparent=ff-${TRACE}-${SPAN}-01 begin`,
    `traceparent=00-${TRACE}-${SPAN}-01-more begin`,
    `traceparent=01-${TRACE}-${SPAN}-01more begin`,
    `traceparent=00-${TRACE}-${SPAN}-0g begin`,
    `traceparent=00-${TRACE.slice(1)}-${SPAN}-01 begin`,
    `traceparent=00_${TRACE}_${SPAN}_01 begin`,
    `traceparent= ${VALUE} begin`,
    `traceparent=01-${TRACE}-${SPAN}-01-${'a'.repeat(600)} begin`,
  ];
  for (const text of wrong) {
    const { calls, write } = probe();
    write(text);
    assert.deepEqual(calls, ['malformed'], text);
  }
});

test('markers that name no span are ignored', () => {
  const { calls, write } = probe();
  for (const text of [
    '',
    'traceparent',
    'traceparent=',
    ' traceparent=x',
    'B|123|draw',
    'ftrace-exporter-tid ab',
  ])
    write(text);
  assert.deepEqual(calls, []);
});

test('a marker over the limit is not parsed', () => {
  const { calls, write, shut } = probe();
  shut();
  write(`traceparent=${VALUE} begin`);
  assert.deepEqual(calls, []);
});

test('the end of a task and lost events are reported', () => {
  const { calls, feed, lose } = probe();
  feed('sched:sched_process_exit', { ts: 300, pid: 7, by: 7 });
  lose();
  assert.deepEqual(calls, ['exit 7 300', 'lost 500']);
});

test('the event of a program says the same with its fields', () => {
  const { calls, feed } = probe();
  feed(USER_EVENT, { ts: 100, by: 7, traceparent: VALUE, begin: 1 });
  feed(USER_EVENT, { ts: 200, by: 7, traceparent: VALUE, begin: 0 });
  feed(USER_EVENT, { ts: 300, by: 7, traceparent: VALUE.slice(1), begin: 0 });
  assert.deepEqual(calls, [
    `begin 7 100 ${TRACE} ${SPAN} true`,
    `end 7 200 ${TRACE} ${SPAN} true`,
    'malformed',
  ]);
});

test('works with a kernel without that event', () => {
  const sink: MarkerSink = {
    takes: () => true,
    malformed: () => {},
    began: () => {},
    ended: () => {},
    exited: () => {},
    lost: () => {},
  };
  const { probe } = run(
    traceMarkers,
    {},
    { intervals: { markers: sink }, formats: { 'ftrace:print': PRINT_FORMAT } },
  );
  assert.deepEqual(Object.keys(probe.handlers), ['ftrace:print', 'sched:sched_process_exit']);
});

test('any bytes have a kind, and only a good traceparent is one', () => {
  const pattern = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
  const digit = fc.constantFrom(...'0123456789abcdefg-');
  const near = fc
    .tuple(fc.constantFrom('00', '01', 'ff', '0'), fc.array(digit, { minLength: 31, maxLength: 33 }))
    .map(([version, digits]) => `${version}-${digits.join('')}-${SPAN}-01`);
  fc.assert(
    fc.property(fc.oneof(fc.string(), near), (text) => {
      const bytes = Buffer.from(text);
      if (isTraceparent(bytes, 0, bytes.length)) assert.match(text.slice(0, 55), pattern);
      else if (bytes.length === 55) assert.doesNotMatch(text, pattern);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      const whole = Buffer.concat([Buffer.from('traceparent='), bytes]);
      assert.equal(markerKind(whole, 0, whole.length), bytes.length === 0 ? 'other' : 'malformed');
    }),
  );
});
