/**
 * Tracks which tasks are created or moved to another cgroup (include/trace/events/task.h, cgroup.h), for the table that
 * maps tasks to containers.
 */
import { textOf } from '../../decode/fields.ts';
import type { ContainerEvents } from '../../model/containers.ts';
import type { EventHandler } from '../../model/record.ts';
import type { Probe, ProbeContext, ProbeModule } from '../probe.ts';
import { HELPER_OPTIONS, helperSchema } from './helper.ts';

const NEW_TASK = 'task:task_newtask';
const ATTACH = 'cgroup:cgroup_attach_task';
/** With cgroup v1 only: a cpuset lost its last CPU, and the kernel moves its tasks to an ancestor. */
const TRANSFER = 'cgroup:cgroup_transfer_tasks';
/** CLONE_INTO_CGROUP in include/uapi/linux/sched.h: the parent chooses the child's cgroup, without a cgroup event. */
const CLONE_INTO_CGROUP = 2 ** 33;
const CLONE_THREAD = 1 << 16;

export const CONTAINER_EVENTS = 'container-events';

export function containerEvents(table: ContainerEvents) {
  const module: ProbeModule = {
    name: CONTAINER_EVENTS,
    help: 'Keeps track of which container each task belongs to.',
    byDefault: false,
    rate: 'low',
    schema: helperSchema,
    needs: () => [
      { event: NEW_TASK, fields: ['pid', 'common_pid', 'clone_flags'] },
      { event: ATTACH, fields: ['dst_root', 'pid', 'dst_path'] },
      { event: TRANSFER, fields: ['dst_root', 'pid', 'dst_path'], without: '' },
    ],
    create: (context) => createContainerEvents(context, table),
    metrics: [],
  };
  return { module, options: HELPER_OPTIONS };
}

function createContainerEvents(context: ProbeContext, table: ContainerEvents): Probe {
  const pidOf = context.int(NEW_TASK, 'pid');
  const parentOf = context.int(NEW_TASK, 'common_pid');
  const flagsOf = context.int(NEW_TASK, 'clone_flags');
  const handlers: Record<string, EventHandler> = {
    [NEW_TASK]: (record) => {
      const flags = flagsOf(record);
      const isElsewhere = Math.floor(flags / CLONE_INTO_CGROUP) % 2 === 1;
      if (isElsewhere) table.clonedInto(pidOf(record));
      else table.forked(pidOf(record), parentOf(record), (flags & CLONE_THREAD) !== 0);
    },
  };
  for (const event of [ATTACH, TRANSFER]) {
    if (context.format(event) === undefined) continue;
    const rootOf = context.int(event, 'dst_root');
    const movedOf = context.int(event, 'pid');
    const path = context.bytes(event, 'dst_path');
    handlers[event] = (record) => table.attached(movedOf(record), rootOf(record), textOf(path, record));
  }
  return { handlers, onLoss: () => table.lost(), sweep: () => table.refresh() };
}
