/**
 * Reads markers that programs write to the top level's `trace_marker`, on kernels that cannot copy markers to an
 * instance. The agent uses the top level only if no other program uses it. It sets the clock and, if needed, the buffer
 * size and the option `markers`, and saves the old values in the journal. If the agent is killed, the top level
 * continues to record.
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

/**
 * Minimum buffer size in KiB per CPU: enough for the markers that programs write between two reads of the buffer, at
 * the highest rate that the agent accepts.
 */
const LEAST_KB = 256;
const OWNER = topLevelOwner('markers');

/**
 * Returns the top level as an `Instance` that records markers. If another user uses the top level, throws a
 * `KernelError` that describes this user.
 */
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
      // If another user now uses the top level, restore nothing, because this user relies on the current clock. The
      // agent tries again to restore the files when it exits.
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
