/**
 * Reads the markers of programs from the top level's buffer, on kernels that cannot copy markers to an instance. The
 * agent uses the top level only if nobody else does. It changes the clock, and the size and the option `markers` if
 * needed, through the journal. If the agent is killed, the top level continues to record, as before.
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

/** Minimum size in KiB per CPU: enough for the markers of one tick at the highest accepted rate. */
const LEAST_KB = 256;
const OWNER = topLevelOwner('markers');

/** Takes the top level. Throws a `KernelError` that describes the other user if there is one. */
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
    // Do not stop recording, because it was on before.
    stop: () => {},
    remove: () => {
      closePages();
      // Do not change the clock if a new user relies on it. The journal tries again when the agent exits.
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
