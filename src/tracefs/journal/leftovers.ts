/** Describes the tracer that another user runs at the top level, and the files that an agent has not yet restored. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, KernelError } from '../../model/errors.ts';
import { tryReadText } from '../files.ts';
import { pathOf } from './put-back.ts';
import { bootId, type JournalEntry, loadEntries, stateFileOf } from './state.ts';
import type { JournalPlace } from './store.ts';

/** Undefined if no tracer runs at the top level. Call this before the agent itself uses the top level. */
export function foreignTracer(root: string): string | undefined {
  const tracer = tryReadText(join(root, 'current_tracer'))?.trim() ?? '';
  if (tracer === '' || tracer === 'nop') return undefined;
  return `tracer ${tracer} runs at the top level of ${root}, and this agent did not start it, or cannot stop it: if it is not needed, write nop to ${join(root, 'current_tracer')}, or run \`ftrace-exporter cleanup\` with the state directory of the agent that started it`;
}

/** Describes the journaled files, or the error if the journal cannot be read. Undefined if there are no files. */
export function journalState({ root, stateDir, name }: JournalPlace): string | undefined {
  const stateFile = stateFileOf(stateDir, name);
  let entries: JournalEntry[];
  try {
    entries = loadEntries(stateFile, bootId());
  } catch (error) {
    if (error instanceof KernelError) return error.message;
    throw error;
  }
  if (entries.length === 0) return undefined;
  const refused = entries.flatMap(({ file }) => whyNotWritable(pathOf(root, file)));
  const remedy = refused.length === 0 ? '' : `; it cannot be restored from here: ${refused[0]}`;
  return `${stateFile} lists ${entries.map(({ file }) => file).join(', ')}${remedy}`;
}

function whyNotWritable(path: string): string[] {
  try {
    accessSync(path, constants.W_OK);
    return [];
  } catch (error) {
    const errno = errnoOf(error);
    // If the file no longer exists, there is nothing to restore.
    return errno === 'ENOENT' ? [] : [`cannot write ${path}: ${errno}`];
  }
}
