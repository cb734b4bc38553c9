/** Detects other users of the top level. Writes nothing. */
import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../model/errors.ts';
import { tryReadText } from '../files.ts';
import { listLines, normalForm, valuesToWrite } from './control-forms.ts';
import type { JournalEntry } from './state.ts';

/** Files with lists that select what is recorded. If a list is not empty, a tool uses the top level. */
const LISTS = [
  'set_event',
  'set_event_pid',
  'set_event_notrace_pid',
  'set_ftrace_filter',
  'set_ftrace_notrace',
  'set_ftrace_pid',
  'set_ftrace_notrace_pid',
  'set_graph_function',
  'set_graph_notrace',
];
const SIZE = 'buffer_size_kb';
const SUBBUFFER_SIZE = 'buffer_subbuf_size_kb';
/** Number of sub-buffers per CPU that the kernel keeps when it frees a buffer. */
const LEAST_SUBBUFFERS = 2;

/** Describes the user of the top level. Returns undefined if there is no user. */
export function topLevelUser(root: string): string | undefined {
  return userOf(root, LISTS);
}

/** For use while the agent itself uses the top level. Ignores lists in `entries`, because the agent wrote them. */
export function otherTopLevelUser(root: string, entries: readonly JournalEntry[]): string | undefined {
  const isOurs = (list: string) =>
    entries.some(({ file }) => file === list || (list === 'set_event' && file.startsWith('events/')));
  const user = userOf(
    root,
    LISTS.filter((list) => !isOurs(list)),
  );
  return user ?? grownBuffer(root, entries);
}

function userOf(root: string, lists: readonly string[]): string | undefined {
  const tracer = tryReadText(join(root, 'current_tracer'))?.trim();
  if (tracer !== undefined && tracer !== 'nop') return `the top level already runs the tracer ${tracer}`;
  for (const file of lists) {
    const lines = listLines(tryReadText(join(root, file)) ?? '');
    if (lines.length === 0) continue;
    const some = lines.slice(0, 3).join(', ') + (lines.length > 3 ? ', …' : '');
    return file === 'set_event'
      ? `another user records events there: ${some}`
      : `another user has set ${file} there: ${some}`;
  }
  return pipeIsOpen(root) ? 'another user reads its trace_pipe' : undefined;
}

/** Whether a process has `trace_pipe` open. The kernel allows only one process at a time to open it. */
function pipeIsOpen(root: string): boolean {
  try {
    closeSync(openSync(join(root, 'trace_pipe'), constants.O_RDONLY | constants.O_NONBLOCK));
    return false;
  } catch (error) {
    return errnoOf(error) === 'EBUSY';
  }
}

/** Describes another user who enlarged the buffer. The kernel rounds sizes up to whole sub-buffers. */
function grownBuffer(root: string, entries: readonly JournalEntry[]): string | undefined {
  const size = entries.find(({ file }) => file === SIZE);
  const text = tryReadText(join(root, SIZE));
  if (text === undefined || size?.left === undefined) return undefined;
  const present = normalForm('size', text);
  const subbufferKb = Math.max(
    Number(tryReadText(join(root, SUBBUFFER_SIZE)) ?? 4),
    Number(entries.find(({ file }) => file === SUBBUFFER_SIZE)?.left ?? 4),
  );
  const original = Number(valuesToWrite('size', size.before)[0]);
  const rounded = Math.max(original, LEAST_SUBBUFFERS * subbufferKb) + subbufferKb;
  if (present === size.left || Number(present) <= rounded) return undefined;
  return `another user has set its buffer size to ${present} KiB per CPU`;
}
