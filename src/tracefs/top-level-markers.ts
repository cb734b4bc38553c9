/**
 * Reads the top level's markers, on kernels that cannot copy markers to an instance. Uses the top level only if no
 * other program uses it. If the agent is killed, the top level continues to record.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import { bufferSizeKb, instanceLayout } from './buffers.ts';
import { refusal } from './files.ts';
import { otherTopLevelAgent } from './in-use.ts';
import { commonOf, type Instance } from './instance.ts';
import type { Journal } from './journal/journal.ts';
import { topLevelOwner } from './journal/owners.ts';
import { topLevelUser } from './journal/top-level-user.ts';
import { warningsOfRemoval } from './top-level.ts';

/** KiB per CPU: enough for the markers between two reads of the buffer, at the highest rate that the agent accepts. */
const LEAST_KB = 256;
const OWNER = topLevelOwner('markers');

/** Throws a `KernelError` if another user uses the top level. */
export function takeTopLevelMarkers(root: string, journal: Journal): Instance {
  const user = topLevelUser(root) ?? otherTopLevelAgent(journal.place);
  if (user !== undefined)
    throw new KernelError({ file: root, errno: 'EBUSY', action: 'read the markers of', remedy: user });
  const part = journal.part(OWNER);
  let removed = false;
  const { closePages, ...common } = commonOf(root, root);
  return {
    ...common,
    name: '',
    leftover: false,
    set: part.set,
    add: part.add,
    prepare: ({ clock }) => {
      const warnings = warningsOfRemoval(root, 'read markers there');
      part.set('options/markers', '1');
      if (bufferSizeKb(root) < LEAST_KB) part.set('buffer_size_kb', String(LEAST_KB));
      part.set('trace_clock', clock);
      emptyTrace(root);
      return {
        bufferBytesPerCpu: bufferSizeKb(root) * 1024,
        subbufferBytes: instanceLayout(root).pageSize,
        warnings,
      };
    },
    enable: () => {},
    start: () => part.set('tracing_on', '1'),
    // Do not stop recording, because recording is normally on at the top level. `remove` restores the old `tracing_on`.
    stop: () => {},
    remove: () => {
      closePages();
      // If another user relies on the clock, restore nothing now. The agent tries again when it exits.
      if (removed || topLevelUser(root) !== undefined) return [];
      removed = true;
      return part.restore().problems;
    },
  };
}

/** Empties the buffer, which also resets the kernel's counters. */
function emptyTrace(root: string): void {
  const file = join(root, 'trace');
  try {
    closeSync(openSync(file, constants.O_WRONLY | constants.O_TRUNC));
  } catch (error) {
    throw refusal(error, { file, action: 'empty' });
  }
}
