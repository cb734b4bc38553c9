/** Presents the top level (the root of tracefs) as an `Instance`, for tracers that instances do not accept. */
import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import { prepareBuffers } from './buffers.ts';
import { possibleCpus } from './cpu-dirs.ts';
import { enableEvents } from './events.ts';
import { refusal, tryReadText } from './files.ts';
import { otherTopLevelAgent } from './in-use.ts';
import { commonOf, type Instance, quietly } from './instance.ts';
import type { Journal } from './journal/journal.ts';
import { topLevelOwner } from './journal/owners.ts';
import { topLevelUser } from './journal/top-level-user.ts';
import { parseStats } from './stats.ts';

/** Throws a `KernelError` if another user uses the top level. If the agent is killed, the kernel stops recording. */
export function takeTopLevel(root: string, journal: Journal, tracer: string): Instance {
  const user = topLevelUser(root) ?? otherTopLevelAgent(journal.place);
  if (user !== undefined) {
    const remedy = `tracer ${tracer} can only run at the top level on this kernel, and ${user}`;
    throw new KernelError({ file: root, errno: 'EBUSY', action: 'use the top level', remedy });
  }
  const part = journal.part(topLevelOwner(tracer));
  const { closePages, ...common } = commonOf(root, root);
  let freeBuffer: number | undefined;
  let removed = false;
  const set = part.set;

  const remove = (): readonly string[] => {
    if (removed) return [];
    quietly(() => set('tracing_on', '0'));
    closePages();
    quietly(() => set('current_tracer', 'nop'));
    // Closing `free_buffer` shrinks the buffer, so restore the buffer size afterwards.
    if (freeBuffer !== undefined) closeSync(freeBuffer);
    freeBuffer = undefined;
    removed = true;
    return part.restore().problems;
  };

  return {
    ...common,
    name: '',
    leftover: false,
    set,
    add: part.add,
    prepare: (request) => {
      const warnings = warningsOfRemoval(root, `run tracer ${tracer} there`);
      const inForce = prepareBuffers(root, request, set);
      freeBuffer ??= holdBuffer(root);
      inForce.warnings.push(...warnings);
      return inForce;
    },
    enable: (events) => enableEvents(root, events, set),
    start: () => set('tracing_on', '1'),
    stop: () => set('tracing_on', '0'),
    remove,
  };
}

/** If the top level's buffer contains events, returns a warning that the agent removes them. */
export function warningsOfRemoval(root: string, purpose: string): string[] {
  const counts = possibleCpus(root).map((cpu) =>
    parseStats(tryReadText(join(root, 'per_cpu', `cpu${cpu}`, 'stats')) ?? '', cpu),
  );
  const recorded = counts.reduce((sum, { entries }) => sum + entries, 0);
  if (recorded === 0) return [];
  return [
    `removed ${recorded} events that another user had recorded at the top level of ${root}, to ${purpose}`,
  ];
}

/** When this process ends, the kernel closes the file, frees the buffer and stops recording (`disable_on_free`). */
function holdBuffer(root: string): number {
  const file = join(root, 'free_buffer');
  try {
    return openSync(file, constants.O_WRONLY);
  } catch (error) {
    throw refusal(error, { file, action: 'open' });
  }
}
