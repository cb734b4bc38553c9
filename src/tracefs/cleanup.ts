/**
 * Removes what killed agents left: instances, whose recording has stopped but whose armed tracepoints and tracers go
 * on costing, and what their journals say is to be put back.
 */
import { readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, KernelError } from '../model/errors.ts';
import { refusal } from './files.ts';
import { createInstance, tracerInstanceName } from './instance.ts';
import { type JournalPlace, restoreJournal } from './journal/journal.ts';
import { stateIsThere } from './journal/state.ts';
import { TRACERS } from './tracer-names.ts';

export interface CleanupReport {
  /** Names of instances. */
  removed: string[];
  /** Names of instances that somebody holds: they were left alone. */
  busy: string[];
  /** Files that were put back. */
  restored: string[];
  /** What could not be put back. */
  problems: string[];
}

/**
 * Removes what agents of these names left: whole names, for another tool's may begin with the same letters. Of an
 * agent that lives, which shows by its instance being held, nothing is touched: it comes back as `busy`.
 * Without `stateDir` no journal is looked at. Throws `KernelError`.
 */
export function cleanup(root: string, names: readonly string[], stateDir?: string): CleanupReport {
  const report = emptyReport();
  const present = instanceNames(root);
  for (const name of names) {
    const more =
      TRACERS.some((tracer) => present.includes(tracerInstanceName(name, tracer))) ||
      (stateDir !== undefined && stateIsThere(stateDir, name));
    // Held meanwhile, so that no agent of this name can start until all is back.
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
 * For the next start of a killed agent, which must hold its base instance by then. First its tracers, some of which
 * put back values themselves, then the journal. A journal that cannot be trusted is among the problems: nothing can
 * be journaled until it is gone. Throws `KernelError` when an instance cannot be removed.
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

/** False when somebody holds it. */
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
  return { removed: [], busy: [], restored: [], problems: [] };
}

function instanceNames(root: string): string[] {
  const dir = join(root, 'instances');
  try {
    return readdirSync(dir).sort();
  } catch (error) {
    throw refusal(error, { file: dir, action: 'list' });
  }
}
