/** The helper must pass events of new and moved tasks to the table of containers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerEvents } from '../../../src/probes/helpers/container-events.ts';
import { run } from './records.ts';

function helper(events?: readonly string[]) {
  const calls: string[] = [];
  const table = {
    forked: (tid: number, parent: number) => calls.push(`${tid} from ${parent}`),
    clonedInto: (tid: number) => calls.push(`${tid} elsewhere`),
    attached: (tid: number, hierarchy: number, path: string) => calls.push(`${tid} to ${hierarchy}:${path}`),
    lost: () => calls.push('lost'),
    refresh: () => calls.push('refresh'),
  };
  return { ...run(containerEvents(table).module, {}, events ? { events } : {}), calls };
}

test('new tasks are with the task that made them, but for those that begin in another group', () => {
  const { feed, calls } = helper();
  const [CLONE_VM, CLONE_INTO_CGROUP] = [0x100n, 0x200000000n];
  feed('task:task_newtask', { ts: 1, by: 7, pid: 8, clone_flags: CLONE_VM });
  feed('task:task_newtask', { ts: 2, by: 7, pid: 9, clone_flags: CLONE_INTO_CGROUP | CLONE_VM });
  feed('task:task_newtask', { ts: 3, by: 7, pid: 10, clone_flags: 0x100000000n });
  assert.deepEqual(calls, ['8 from 7', '9 elsewhere', '10 from 7']);
});

test('moves, of one task or of all tasks of a group', () => {
  const { feed, calls } = helper();
  feed('cgroup:cgroup_attach_task', { ts: 1, by: 1, dst_root: 4, pid: 8, dst_path: '/docker/é', comm: 'sh' });
  feed('cgroup:cgroup_transfer_tasks', { ts: 1, dst_root: 0, pid: 9, dst_path: '/', comm: '' });
  assert.deepEqual(calls, ['8 to 4:/docker/é', '9 to 0:/']);
});

test('losses and time are passed on; a kernel without moves of whole groups will do', () => {
  const { probe, calls } = helper(['task:task_newtask', 'cgroup:cgroup_attach_task']);
  probe.onLoss?.(0, 5);
  probe.sweep?.();
  assert.deepEqual(calls, ['lost', 'refresh']);
  assert.equal(Object.keys(probe.handlers).length, 2);
});
