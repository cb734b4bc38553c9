import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Expected, interferences } from '../../../src/agent/live/interference.ts';
import type { InstanceState } from '../../../src/tracefs/instance-state.ts';

const DIR = '/t/instances/a';
const FILTER = 'events/sched/sched_switch/filter';
const state: InstanceState = {
  recording: true,
  overwrite: true,
  clock: 'mono',
  tracer: 'nop',
  events: new Set(['sched:sched_switch', 'irq:softirq_raise']),
  limits: new Map([
    ['tracing_cpumask', 'ff'],
    ['set_event_pid', ''],
    ['set_event_notrace_pid', ''],
    ['set_ftrace_notrace_pid', '7\n8'],
    [FILTER, 'none'],
  ]),
  followsForks: false,
  settings: new Map([['tracing_thresh', '0']]),
  disksOff: [],
  bufferBytesPerCpu: 4096 * 1024,
  pageBytes: 65536,
};
const expected: Expected = {
  root: '/t',
  dir: DIR,
  events: ['sched:sched_switch', 'irq:softirq_raise'],
  switchedOff: new Set(),
  state,
  stopsWhen: '',
  isTopLevel: false,
};
const limited = (file: string, text: string) => ({ limits: new Map([...state.limits, [file, text]]) });
const findings = (now: Partial<InstanceState>, how: Partial<Expected> = {}) =>
  interferences({ ...expected, ...how }, { ...state, ...now });

describe('what others change', () => {
  test('nothing is no interference', () => assert.deepEqual(findings({}), []));

  test('a list that the kernel changes at each fork and exit is not theirs', () => {
    const ofForks = { ...state, followsForks: true };
    const now = limited('set_ftrace_notrace_pid', '7\n8\n9');
    assert.deepEqual(interferences({ ...expected, state: ofForks }, { ...ofForks, ...now }), []);
    assert.equal(findings(now).length, 1);
  });

  const cases: [string, Partial<InstanceState>, RegExp, string[] | undefined, unknown][] = [
    [
      'recording off',
      { recording: false },
      /recording was switched off: write 1 to \/t\/instances\/a\/tracing_on; the agent undoes such a change after 60 s/,
      undefined,
      [{ file: 'tracing_on', value: '1' }],
    ],
    [
      'a threshold of all tracers',
      { settings: new Map([['tracing_thresh', '10']]) },
      /changed \/t\/tracing_thresh from 0 to 10, which changes what nop measures; the agent does not undo this/,
      undefined,
      undefined,
    ],
    [
      'an event off',
      { events: new Set(['sched:sched_switch']) },
      /events were disabled in .*: irq:softirq_raise;/,
      ['irq:softirq_raise'],
      [{ file: 'events/irq/softirq_raise/enable', value: '1' }],
    ],
    [
      'a filter',
      limited(FILTER, 'prev_pid == 1'),
      /"prev_pid == 1" to .*sched_switch\/filter/,
      ['sched:sched_switch'],
      [{ file: FILTER, value: '0' }],
    ],
    [
      'a CPU mask',
      limited('tracing_cpumask', '01'),
      /"01" to .*tracing_cpumask/,
      undefined,
      [{ file: 'tracing_cpumask', value: 'ff' }],
    ],
    [
      'tasks that are recorded',
      limited('set_event_pid', '1'),
      /set_event_pid/,
      undefined,
      [{ file: 'set_event_pid', value: '', isList: true }],
    ],
    [
      'tasks that are not',
      limited('set_event_notrace_pid', '1\n2'),
      /"1" to .*set_event_notrace_pid/,
      undefined,
      [{ file: 'set_event_notrace_pid', value: '', isList: true }],
    ],
    [
      'a list that the agent had written',
      limited('set_ftrace_notrace_pid', ''),
      /another user has emptied \/t\/.*set_ftrace_notrace_pid/,
      undefined,
      [{ file: 'set_ftrace_notrace_pid', value: '7\n8', isList: true }],
    ],
    [
      'overwrite off',
      { overwrite: false },
      /overwrite/,
      undefined,
      [{ file: 'options/overwrite', value: '1' }],
    ],
  ];
  for (const [what, now, reason, events, undo] of cases)
    test(`${what} is named, with the events concerned and what undoes it`, () => {
      const [one, ...more] = findings(now);
      assert.deepEqual(more, []);
      assert.match(one.reason, reason);
      assert.deepEqual(one.events, events);
      assert.deepEqual(one.undo, undo);
      assert.equal(one.isHarmless, undefined);
    });

  test('a smaller buffer loses no events and is undone; a larger one is used', () => {
    const [small] = findings({ bufferBytesPerCpu: 64 * 1024 });
    assert.match(small.reason, /from 4096 to 64 KiB per CPU; the agent undoes such a change/);
    assert.deepEqual([small.isHarmless, small.undo], [true, [{ file: 'buffer_size_kb', value: '4096' }]]);
    const [large] = findings({ bufferBytesPerCpu: 8192 * 1024 });
    assert.match(large.reason, /from 4096 to 8192 KiB per CPU; the agent uses the new size/);
    assert.deepEqual([large.isHarmless, large.undo], [true, undefined]);
  });

  test('what the kernel stopped by itself, and a disk that is off, stay, and the reason says so', () => {
    const [stopped] = findings({ recording: false }, { stopsWhen: 'timerlat met a latency' });
    assert.match(stopped.reason, /timerlat met a latency; the agent does not switch it on again: write 1/);
    const [disk] = findings({ disksOff: ['sda'] });
    assert.match(disk.reason, /block tracing of sda was switched off: write 1 to \/sys\/block\/sda\/trace/);
    assert.deepEqual([stopped.undo, disk.undo], [undefined, undefined]);
  });

  test('nothing of the top level is undone', () => {
    const [one] = findings({ recording: false }, { isTopLevel: true });
    assert.match(one.reason, /the agent does not undo this change, because the top level/);
    assert.equal(one.undo, undefined);
  });

  test('another clock, page size or tracer ends the capture', () => {
    assert.throws(() => findings({ clock: 'local' }), /trace clock of .* to local/);
    assert.throws(() => findings({ pageBytes: 4096 }), /sub-buffer size/);
    assert.throws(() => findings({ tracer: 'function' }), /current_tracer of .* to function/);
  });
});
