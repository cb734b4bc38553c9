/** Containers of a recording, from the table in the recording and the events of new and moved tasks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRecordedContainers } from '../../../src/host/recorded-containers.ts';
import {
  type ContainerLabels,
  FIRST_CONTAINER,
  KERNEL,
  SYSTEM,
  UNKNOWN,
} from '../../../src/model/containers.ts';
import { containerMarkers, recordedPart } from '../../../src/tracedat/recorded-containers.ts';

const ID = 'a'.repeat(64);
const UID = '01234567-89ab-cdef-0123-456789abcdef';
const POD = `/kubepods/pod${UID}/${ID}`;
const DOCKER = `/docker/${'b'.repeat(64)}`;
const LABELS: ContainerLabels = ['shop', 'web-0', 'a'];

function recorded() {
  const containers = openRecordedContainers(200);
  containers.read({ hierarchy: 3 });
  containers.read({ tids: [2] });
  containers.read({ path: '', tids: [1] });
  containers.read({ process: [10, 11, 12] });
  containers.read({ path: POD, tids: [10, 11, 12] });
  containers.read({ path: DOCKER, tids: [20] });
  return containers;
}
const rowsOf = ({ table }: ReturnType<typeof recorded>, ...tids: number[]) => tids.map((tid) => table[tid]);
const [IN_POD, IN_DOCKER] = [FIRST_CONTAINER, FIRST_CONTAINER + 1];

test('tasks have the containers of the table; new ones those of their parents', () => {
  const all = recorded();
  assert.deepEqual(rowsOf(all, 1, 2, 10, 12, 20, 30), [SYSTEM, KERNEL, IN_POD, IN_POD, IN_DOCKER, UNKNOWN]);
  all.forked(13, 10, true);
  all.forked(21, 20);
  assert.deepEqual(rowsOf(all, 13, 21), [IN_POD, IN_DOCKER]);
});

test('names come with a later part of the table; without one, when the recording ends, from the control group', () => {
  const all = recorded();
  assert.equal(all.labels(IN_POD), undefined);
  assert.deepEqual(all.labels(IN_DOCKER), ['', '', 'b'.repeat(12)]);
  all.end();
  assert.deepEqual(all.labels(IN_POD), ['', UID, 'a'.repeat(12)]);
  all.read({ path: POD, labels: LABELS, tids: [] });
  assert.deepEqual(all.labels(IN_POD), LABELS);
});

test('a process moves; its other threads are not known until the next part of the table', () => {
  const all = recorded();
  all.forked(13, 11, true);
  all.attached(10, 3, DOCKER);
  assert.deepEqual(rowsOf(all, 10, 11, 12, 13), [IN_DOCKER, UNKNOWN, UNKNOWN, UNKNOWN]);
  all.read({ path: DOCKER, tids: [10, 11, 12, 13] });
  assert.deepEqual(rowsOf(all, 11, 13), [IN_DOCKER, IN_DOCKER]);
  all.attached(20, 4, POD);
  assert.equal(rowsOf(all, 20)[0], IN_DOCKER, 'another hierarchy');
});

test('a part of the table does not undo what events said meanwhile', () => {
  const all = recorded();
  all.attached(20, 3, POD);
  all.read({ path: DOCKER, tids: [20] });
  assert.equal(rowsOf(all, 20)[0], IN_POD);
});

test('after a loss, and in another group from the start, tasks are not known', () => {
  const all = recorded();
  all.clonedInto(22);
  all.lost();
  assert.deepEqual(rowsOf(all, 10, 20, 22), [UNKNOWN, UNKNOWN, UNKNOWN]);
  all.read({ path: DOCKER, tids: [20, 22] });
  assert.deepEqual(rowsOf(all, 10, 20, 22), [UNKNOWN, IN_DOCKER, IN_DOCKER]);
});

test('a recording without a table shows no containers', () => {
  const none = openRecordedContainers(200);
  none.attached(10, 3, DOCKER);
  assert.equal(none.hasTable(), false);
  assert.deepEqual(none.slots(), []);
  assert.equal(none.table[10], UNKNOWN);
});

test('markers are short enough for every kernel, and return what was written', () => {
  const tids = Array.from({ length: 300 }, (_, i) => 4_000_000 + i);
  const lines = containerMarkers([{ hierarchy: 0 }, { path: POD, labels: LABELS, tids }, { process: tids }]);
  assert.ok(
    lines.every((line) => line.length < 1000),
    `${Math.max(...lines.map(({ length }) => length))}`,
  );
  const parts = lines.map((line) => recordedPart(line));
  assert.deepEqual(
    parts.flatMap((part) => part?.tids ?? []),
    tids,
  );
  const [first, ...others] = tids;
  const processes = parts.flatMap((part) => (part?.process ? [part.process] : []));
  assert.ok(processes.every(([leader]) => leader === first));
  assert.deepEqual(
    processes.flatMap((process) => process.slice(1)),
    others,
  );
  for (const text of [
    'ftrace-exporter: containers {"tids":[1',
    'other',
    'ftrace-exporter: containers {"tids":["1"]}',
  ])
    assert.equal(recordedPart(text), undefined);
});
