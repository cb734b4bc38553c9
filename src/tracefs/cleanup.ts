/** Removes kprobes, uprobes and instances of killed agents, and restores the files in their journals. */
import { readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { dynamicGroup } from '../model/dynamic-event.ts';
import { errnoOf, KernelError } from '../model/errors.ts';
import { definedEvents, removeEvents } from './dynamic-events.ts';
import { refusal } from './files.ts';
import { createInstance, tracerInstanceName } from './instance.ts';
import { type JournalPlace, restoreJournal } from './journal/journal.ts';
import { stateIsThere } from './journal/state.ts';
import { TRACERS } from './tracer-traits.ts';

export interface CleanupReport {
  /** Names of instances that were removed. */
  removed: string[];
  /** Names of instances that a process still has open. */
  busy: string[];
  /** Files that were restored. */
  restored: string[];
  /** Kprobes and uprobes that were removed. */
  removedEvents: string[];
  /** Messages about what could not be removed or restored. */
  problems: string[];
}

/** Reports the instance of a running agent as `busy`. Without `stateDir`, ignores journals. Throws `KernelError`. */
export function cleanup(root: string, names: readonly string[], stateDir?: string): CleanupReport {
  const report = emptyReport();
  const present = instanceNames(root);
  for (const name of names) {
    const more =
      definedEvents(root, dynamicGroup(name)).length > 0 ||
      TRACERS.some((tracer) => present.includes(tracerInstanceName(name, tracer))) ||
      (stateDir !== undefined && stateIsThere(stateDir, name));
    // Hold the instance during the clean-up, so that no agent with this name can start before all files are restored.
    if (more) cleanHolding(root, name, stateDir, report);
    else if (present.includes(name)) removeInstance(root, name, report);
  }
  return report;
}

function cleanHolding(root: string, name: string, stateDir: string | undefined, report: CleanupReport): void {
  let instance: ReturnType<typeof createInstance>;
  try {
    instance = createInstance(root, name);
  } catch (error) {
    if (!(error instanceof KernelError) || error.errno !== 'EBUSY') throw error;
    report.busy.push(name);
    return;
  }
  try {
    if (instance.leftover) report.removed.push(name);
    recoverInto(report, { root, name, stateDir });
  } finally {
    instance.remove();
  }
}

/**
 * Cleans up at the start of an agent. The agent must hold `instances/NAME` (keep its `free_buffer` open). Stops tracers
 * before restoring files, because the kernel itself restores some values when a tracer stops. Throws `KernelError`.
 */
export function recover(place: JournalPlace): CleanupReport {
  const report = emptyReport();
  recoverInto(report, place);
  return report;
}

function recoverInto(
  report: CleanupReport,
  { root, name, stateDir }: { root: string; name: string; stateDir: string | undefined },
): void {
  const present = instanceNames(root);
  const stillRunning = TRACERS.filter((tracer) => {
    const instance = tracerInstanceName(name, tracer);
    return present.includes(instance) && !removeInstance(root, instance, report);
  });
  const events = definedEvents(root, dynamicGroup(name));
  report.problems.push(...removeEvents(root, dynamicGroup(name)));
  const remaining = definedEvents(root, dynamicGroup(name));
  report.removedEvents.push(...events.filter((event) => !remaining.includes(event)));
  if (stateDir === undefined) return;
  try {
    const { restored, problems } = restoreJournal({ stateDir, name, root }, stillRunning);
    report.restored.push(...restored);
    report.problems.push(...problems);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    report.problems.push(error.message);
  }
}

/** Returns false if a process has a file of the instance open. */
function removeInstance(root: string, name: string, report: CleanupReport): boolean {
  const dir = join(root, 'instances', name);
  try {
    rmdirSync(dir);
    report.removed.push(name);
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return true;
    if (errno !== 'EBUSY') throw refusal(error, { file: dir, action: 'remove' });
    report.busy.push(name);
    return false;
  }
}

function emptyReport(): CleanupReport {
  return { removed: [], busy: [], restored: [], removedEvents: [], problems: [] };
}

function instanceNames(root: string): string[] {
  const dir = join(root, 'instances');
  try {
    return readdirSync(dir).sort();
  } catch (error) {
    throw refusal(error, { file: dir, action: 'list' });
  }
}
