/** Puts journaled files back, in reverse order, and leaves alone what somebody else uses meanwhile. */
import { KernelError } from '../../model/errors.ts';
import { isTopLevelOwner, tracerOf } from './owners.ts';
import { putBack, shortened } from './put-back.ts';
import { type JournalEntry, stateIsThere } from './state.ts';
import type { JournalStore } from './store.ts';
import { otherTopLevelUser } from './top-level-user.ts';

export interface Restored {
  /** Files that were put back. */
  restored: string[];
  /** What could not be put back, and why, or was left alone because somebody else has changed it since. */
  problems: string[];
}

export interface RestoreRequest {
  /** Only what it owns; without it, everything. */
  owner?: string;
  /** Tracers that could not be stopped. What becomes of them here is noted in it. */
  running: Set<string>;
  /** After a crash: then a state file that cannot be trusted is an error even where this journal has changed nothing. */
  isRecovery?: boolean;
}

/** Throws `KernelError` when the state file cannot be trusted. */
export function restoreEntries(store: JournalStore, request: RestoreRequest): Restored {
  const report: Restored = { restored: [], problems: [] };
  const mine = entriesOf(store, request);
  if (mine.length === 0 && !isStaleFileThere(store, request)) return report;
  const isTracer = ({ file }: JournalEntry) => file === 'current_tracer';
  let tracerIsOurs = true;
  // The tracer first: filters that are emptied while it runs would have it trace everything.
  for (const entry of mine.filter(isTracer)) {
    if (isOnlyGivenUp(entry, request)) continue;
    const outcome = tryPutBack(store, entry, true);
    noteOutcome(report, entry, outcome);
    tracerIsOurs = outcome === 'restored' || outcome === 'nothing';
    noteTracer(store, entry, { tracerIsOurs, running: request.running });
  }
  // A tracer takes the top level only while it is free, and its own end has stopped every recording there.
  const user = request.owner === undefined ? otherTopLevelUser(store.place.root, mine) : undefined;
  for (const entry of mine.filter((one) => !isTracer(one)).reverse()) {
    if (isOnlyGivenUp(entry, request)) continue;
    const waits = whyItWaits(entry, { tracerIsOurs, user, running: request.running });
    if (waits !== undefined) report.problems.push(`${entry.file} stays as it is${waits}`);
    else noteOutcome(report, entry, tryPutBack(store, entry, tracerIsOurs));
  }
  finish(store, request, report);
  return report;
}

function entriesOf(store: JournalStore, { owner, isRecovery = false }: RestoreRequest): JournalEntry[] {
  try {
    return store.reload().filter(({ owners }) => owner === undefined || owners.includes(owner));
  } catch (error) {
    // The start has said so already, and there is nothing of this journal in it.
    if (error instanceof KernelError && !isRecovery && !store.hasClaimed()) return [];
    throw error;
  }
}

/** A file without entries of this boot is removed when all is put back. */
function isStaleFileThere(
  { place, hasClaimed }: JournalStore,
  { owner, isRecovery }: RestoreRequest,
): boolean {
  if (owner !== undefined || !(isRecovery || hasClaimed())) return false;
  return stateIsThere(place.stateDir, place.name);
}

/** Another tracer of ours still needs it: only the owner goes. */
function isOnlyGivenUp(entry: JournalEntry, { owner }: RestoreRequest): boolean {
  if (owner === undefined || entry.owners.length === 1) return false;
  entry.owners = entry.owners.filter((one) => one !== owner);
  return true;
}

interface TracerState {
  tracerIsOurs: boolean;
  running: Set<string>;
}

/** Until the top level's tracer is as before, what belongs to it waits. */
function noteTracer(store: JournalStore, entry: JournalEntry, { tracerIsOurs, running }: TracerState): void {
  const couldNot = store.entries().includes(entry);
  if (!tracerIsOurs && !couldNot) store.entries().push(entry);
  for (const tracer of entry.owners.map(tracerOf)) {
    if (couldNot) running.add(tracer);
    else running.delete(tracer);
  }
}

/** Why a file is not put back yet; undefined when it can be. */
function whyItWaits(
  entry: JournalEntry,
  { tracerIsOurs, user, running }: TracerState & { user: string | undefined },
): string | undefined {
  const tracers = entry.owners.map(tracerOf);
  if (tracers.some((tracer) => running.has(tracer)))
    return `: tracer ${tracers.join(', ')} could not be stopped`;
  if (!entry.owners.every(isTopLevelOwner)) return undefined;
  // Restoring clock or size would empty the other user's buffer; restoring tracing_on would start a recording that they
  // stopped.
  const later = 'the next start or cleanup puts it back';
  if (!tracerIsOurs) return ` while somebody else uses the top level: ${later}`;
  return user === undefined ? undefined : ` while somebody else uses the top level (${user}): ${later}`;
}

/** As `putBack`; an entry stays only if it can be tried again. */
function tryPutBack(store: JournalStore, entry: JournalEntry, tracerIsOurs: boolean): string {
  try {
    const outcome = putBack(store.place.root, entry, tracerIsOurs);
    store.drop(entry);
    return outcome;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    if (error.errno === 'ENOENT') store.drop(entry);
    return `${error.message} (it was ${JSON.stringify(shortened(entry.before.trim()))})`;
  }
}

function noteOutcome(report: Restored, entry: JournalEntry, outcome: string): void {
  if (outcome === 'restored') report.restored.push(entry.file);
  else if (outcome !== 'nothing') report.problems.push(outcome);
}

/** Brings the state file up to date. What is put back already is nothing to do for the next try. */
function finish(store: JournalStore, { owner }: RestoreRequest, report: Restored): void {
  if (owner !== undefined) {
    // The end of the agent puts back everything, and then the file is only removed, which a full disk allows.
    store.saveIfPossible();
    return;
  }
  try {
    store.save();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    report.problems.push(
      report.problems.length === 0
        ? `all that the restore journal lists is as it was, but: ${error.message}`
        : error.message,
    );
  }
}
