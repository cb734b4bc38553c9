/** Restores journaled files in reverse order, but `current_tracer` first. Skips files that another user needs. */
import { KernelError } from '../../model/errors.ts';
import { isTopLevelOwner, tracerOf } from './owners.ts';
import { putBack, shortened } from './put-back.ts';
import { type JournalEntry, stateIsThere } from './state.ts';
import type { JournalStore } from './store.ts';
import { otherTopLevelUser } from './top-level-user.ts';

export interface Restored {
  restored: string[];
  /** Messages about files that were not restored, because of an error or because another user changed them. */
  problems: string[];
}

export interface RestoreRequest {
  /** Restore only files that this owner (see `owners.ts`) has journaled. If undefined, restore all files. */
  owner?: string;
  /** Tracers that could not be stopped. `restoreEntries` updates the set. */
  running: Set<string>;
  /** True after a crash. An untrusted state file is then an error, even if this process has journaled nothing. */
  isRecovery?: boolean;
}

/** Restores entries of the journal. Throws a `KernelError` if the state file cannot be trusted. */
export function restoreEntries(store: JournalStore, request: RestoreRequest): Restored {
  const report: Restored = { restored: [], problems: [] };
  const mine = entriesOf(store, request);
  if (mine.length === 0 && !isStaleFileThere(store, request)) return report;
  const isTracer = ({ file }: JournalEntry) => file === 'current_tracer';
  let tracerIsOurs = true;
  // Restore `current_tracer` first: if a tracer still runs when its filters are emptied, it traces every function.
  for (const entry of mine.filter(isTracer)) {
    if (isOnlyGivenUp(entry, request)) continue;
    const outcome = tryPutBack(store, entry, true);
    noteOutcome(report, entry, outcome);
    tracerIsOurs = outcome === 'restored' || outcome === 'nothing';
    noteTracer(store, entry, { tracerIsOurs, running: request.running });
  }
  // When only one tracer stops, no check is necessary, because the top level was free when this tracer started.
  const user = request.owner === undefined ? otherTopLevelUser(store.place.root, mine) : undefined;
  for (const entry of mine.filter((one) => !isTracer(one)).reverse()) {
    if (isOnlyGivenUp(entry, request)) continue;
    const waits = whyItWaits(entry, { tracerIsOurs, user, running: request.running });
    if (waits !== undefined) report.problems.push(`${entry.file} is not restored${waits}`);
    else noteOutcome(report, entry, tryPutBack(store, entry, tracerIsOurs));
  }
  finish(store, request, report);
  return report;
}

function entriesOf(store: JournalStore, { owner, isRecovery = false }: RestoreRequest): JournalEntry[] {
  try {
    return store.reload().filter(({ owners }) => owner === undefined || owners.includes(owner));
  } catch (error) {
    // Ignore the error, because the agent reported it at the start and the file contains no entry of this process.
    if (error instanceof KernelError && !isRecovery && !store.hasClaimed()) return [];
    throw error;
  }
}

/** Whether to remove a state file although there is nothing to restore, for example a file from an earlier boot. */
function isStaleFileThere(
  { place, hasClaimed }: JournalStore,
  { owner, isRecovery }: RestoreRequest,
): boolean {
  if (owner !== undefined || !(isRecovery || hasClaimed())) return false;
  return stateIsThere(place.stateDir, place.name);
}

/** If another tracer of this agent still needs the value, removes the owner from the entry and returns true. */
function isOnlyGivenUp(entry: JournalEntry, { owner }: RestoreRequest): boolean {
  if (owner === undefined || entry.owners.length === 1) return false;
  entry.owners = entry.owners.filter((one) => one !== owner);
  return true;
}

interface TracerState {
  tracerIsOurs: boolean;
  running: Set<string>;
}

/** Keeps the entry until `current_tracer` is restored. Updates `running` with the tracers of the entry. */
function noteTracer(store: JournalStore, entry: JournalEntry, { tracerIsOurs, running }: TracerState): void {
  const couldNot = store.entries().includes(entry);
  if (!tracerIsOurs && !couldNot) store.entries().push(entry);
  for (const tracer of entry.owners.map(tracerOf)) {
    if (couldNot) running.add(tracer);
    else running.delete(tracer);
  }
}

/** Returns why a file is not restored yet, or undefined if it can be restored now. */
function whyItWaits(
  entry: JournalEntry,
  { tracerIsOurs, user, running }: TracerState & { user: string | undefined },
): string | undefined {
  const tracers = entry.owners.map(tracerOf);
  if (tracers.some((tracer) => running.has(tracer)))
    return `: tracer ${tracers.join(', ')} could not be stopped`;
  if (!entry.owners.every(isTopLevelOwner)) return undefined;
  // Restoring would empty the other user's buffer (clock, size) or restart a stopped recording (`tracing_on`).
  const later = 'the next start or `ftrace-exporter cleanup` restores it';
  if (!tracerIsOurs) return ` while another user needs the top level: ${later}`;
  return user === undefined ? undefined : ` while another user needs the top level (${user}): ${later}`;
}

/** Returns the result of `putBack` or an error message. Keeps the entry only if another attempt can succeed. */
function tryPutBack(store: JournalStore, entry: JournalEntry, tracerIsOurs: boolean): string {
  try {
    const outcome = putBack(store.place.root, entry, tracerIsOurs);
    store.drop(entry);
    return outcome;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    if (error.errno === 'ENOENT') store.drop(entry);
    return `${error.message} (the original value was ${JSON.stringify(shortened(entry.before.trim()))})`;
  }
}

function noteOutcome(report: Restored, entry: JournalEntry, outcome: string): void {
  if (outcome === 'restored') report.restored.push(entry.file);
  else if (outcome !== 'nothing') report.problems.push(outcome);
}

/** Saves the remaining entries, so that the next attempt does not restore the same files again. */
function finish(store: JournalStore, { owner }: RestoreRequest, report: Restored): void {
  if (owner !== undefined) {
    // Ignore a full disk, because the agent removes the state file at exit, and a removal needs no space.
    store.saveIfPossible();
    return;
  }
  try {
    store.save();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    report.problems.push(
      report.problems.length === 0
        ? `everything in the restore journal is restored, but the journal itself remains: ${error.message}`
        : error.message,
    );
  }
}
