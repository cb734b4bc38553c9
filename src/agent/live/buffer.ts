/**
 * Opens one buffer of the running kernel (an instance, or the top level) for a plan. Returns the stream to drain, its
 * counts, and what others do to it: what they switch off, take or throw away.
 */
import { join } from 'node:path';
import { KernelError } from '../../model/errors.ts';
import type { BufferStatus } from '../../model/status.ts';
import type { BuffersInForce } from '../../tracefs/buffers.ts';
import { type ControlWatch, watchControls } from '../../tracefs/control-watch.ts';
import { openCpuStats } from '../../tracefs/cpu-stats.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { diskSwitch } from '../../tracefs/instance-state.ts';
import { emptyList } from '../../tracefs/list-files.ts';
import { type Finding, makeLossLedger } from '../plan/loss-ledger.ts';
import type { EventPlan } from '../plan/plan.ts';
import type { BufferReading } from '../plan/self-metrics.ts';
import { makeTraceClock } from '../stream/clock.ts';
import type { Drained } from './drain.ts';
import { type Expected, type Interference, interferences, UNDO_AFTER_MS, type Undo } from './interference.ts';
import type { Shared } from './shared.ts';
import type { PlannedStream } from './stream.ts';

/** Name of the buffer of the events, in labels. */
export const EVENTS_BUFFER = 'events';
/** The log names another reader at most this often. */
const LOG_EVERY_MS = 60_000;

export interface LiveBufferParts {
  /** As in the label `buffer`: `events`, or the tracer's name. */
  name: string;
  instance: Instance;
  planned: PlannedStream;
  inForce: BuffersInForce;
  shared: Shared;
  /** Why recording may have stopped by itself; '' where that cannot be. */
  stopsWhen: string;
  /** Disks that the tracer blk records. */
  disks?: readonly string[];
  /** Once recording has begun. */
  whenStarted?(): void;
  /** Ends the tracer, with nothing open any more. Gives what could not be put back. */
  stopTracer?(): readonly string[];
}

/** What others have changed in a buffer. */
export interface BufferHealth {
  /** Why not all of its events come. */
  problems: readonly string[];
  /** Changes that take no events away. */
  notices: readonly string[];
  /** Probes whose events do not come, or not all, and why. */
  down: ReadonlyMap<string, string>;
}

export const HEALTHY: BufferHealth = { problems: [], notices: [], down: new Map() };

export interface LiveBuffer {
  readonly name: string;
  readonly plan: EventPlan;
  readonly drained: Drained | undefined;
  /** Enables its events and starts recording. */
  start(): void;
  /** Follows CPUs that come and go, and has the probes do their housekeeping. */
  refresh(): void;
  /** Before a tick reads: finds what others have taken or thrown away since the last one, and voids what is open. */
  beforeTick(): void;
  /** Whether `check` has something new to look at: somebody has written to a control file. */
  wasTouched(): boolean;
  /**
   * Looks whether all of its events come, and undoes what others changed when its time has come; `nowMs` is monotonic.
   * Throws when nothing can be made of what comes from now on.
   */
  check(nowMs: number): BufferHealth;
  readings(): BufferReading[];
  status(): BufferStatus;
  /** Stops recording and hands out what is left. */
  finish(): void;
  /** Closes and removes; can be called again. Throws `KernelError` for what could not be removed or put back. */
  remove(): void;
}

/** Opens what is read. Throws `KernelError`. */
export function openLiveBuffer(parts: LiveBufferParts): LiveBuffer {
  const { name, instance, planned, inForce, shared, disks = [] } = parts;
  const { plan } = planned;
  const { log } = shared;
  const open = planned.open();
  const counts = openCpuStats(instance.dir);
  const ledger = makeLossLedger();
  const now = makeTraceClock();
  const everRead = new Set<number>(open?.cpus());
  const rule = {
    rate: plan.rate,
    drainIntervalNs: shared.config.drainIntervalMs * 1e6,
    bufferBytesPerCpu: inForce.bufferBytesPerCpu,
    cpus: shared.onlineCpus.length,
  };
  let expected: Expected | undefined;
  let watch: ControlWatch | undefined;
  /** A control file was written since the last check. */
  let touched = false;
  /** Writes to control files are the agent's own. */
  let isUndoing = false;
  /** What was wrong at the last check. */
  let wrongBefore = '';
  let undoAtMs = Number.POSITIVE_INFINITY;
  let logAtMs = 0;
  let closed = false;
  /** Of the last look before it was closed. */
  let last: BufferReading[] = [];

  /** What began before this moment is void: events are missing, on all CPUs. */
  const voidOpen = (): void => open?.stream.voidUntil(now());

  const report = (cpu: number, finding: Finding): void => {
    voidOpen();
    if (performance.now() < logAtMs) return;
    logAtMs = performance.now() + LOG_EVERY_MS;
    const message =
      finding === 'taken'
        ? 'another reader takes events out of this buffer: they are counted as lost'
        : 'somebody has emptied this buffer: events were lost';
    log.warn({ buffer: name, cpu, instance: instance.dir }, message);
  };

  /** Compares the kernel's count of events that were read with what this agent has read. */
  const lookAt = (cpu: number, readEvents: number): void => {
    if (open === undefined) return;
    const { stream } = open;
    const pending = stream.pendingEvents(cpu);
    if (pending === undefined) return;
    const own = { events: stream.events(cpu) + pending, givenUp: stream.givenUp(cpu) };
    const finding = ledger.look(cpu, readEvents, own);
    if (finding !== 'even') report(cpu, finding);
  };

  const readings = (): BufferReading[] => {
    if (open === undefined || closed) return last;
    const { stream } = open;
    last = [...everRead].map((cpu) => {
      const stats = counts.stats(cpu);
      lookAt(cpu, stats.readEvents);
      return {
        cpu,
        events: stream.events(cpu),
        bytes: stream.bytesRead(cpu),
        loss: ledger.add(cpu, stats),
        unreadBytes: stats.bytes,
        capacityBytes: rule.bufferBytesPerCpu,
      };
    });
    return last;
  };

  const startWatching = (): void => {
    watch = watchControls(
      instance.dir,
      { events: plan.events, cpus: shared.onlineCpus, others: disks.map(diskSwitch) },
      () => {
        voidOpen();
        if (!isUndoing) touched = true;
      },
    );
    if (watch.problem === '') return;
    log.warn(
      { instance: instance.dir, reason: watch.problem },
      'short pauses that others make in recording can go unnoticed: their control files cannot be watched',
    );
  };

  const undo = (found: readonly Interference[]): void => {
    // inotify delivers these writes before the next callback of setImmediate.
    isUndoing = true;
    setImmediate(() => {
      isUndoing = false;
    });
    for (const { undo: steps = [] } of found) for (const step of steps) undoOne(step);
    voidOpen();
  };

  const undoOne = (step: Undo): void => {
    try {
      if (step.isList) emptyList(join(instance.dir, step.file));
      if (step.isList) instance.add(step.file, step.value.split(/\s+/).filter(Boolean));
      else instance.set(step.file, step.value);
      log.warn({ file: join(instance.dir, step.file), value: step.value }, 'undid what somebody had changed');
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      log.error({ reason: error.message }, 'what somebody has changed cannot be undone');
    }
  };

  const interfered = (): Interference[] => {
    if (expected === undefined) return [];
    const state = instance.state(plan.events, disks);
    rule.bufferBytesPerCpu = state.bufferBytesPerCpu;
    return interferences(expected, state);
  };

  const check = (nowMs: number): BufferHealth => {
    if (closed) return HEALTHY;
    let found = interfered();
    const wrong = wrongOf(found);
    // Without a touch it was found afterwards: somebody could change it in a way that nothing reports.
    if (touched || wrong !== wrongBefore) {
      ledger.pause();
      voidOpen();
    }
    touched = false;
    if (!found.some((one) => one.undo)) undoAtMs = Number.POSITIVE_INFINITY;
    else if (undoAtMs === Number.POSITIVE_INFINITY) undoAtMs = nowMs + UNDO_AFTER_MS;
    else if (nowMs >= undoAtMs) {
      undo(found);
      found = interfered();
      undoAtMs = Number.POSITIVE_INFINITY;
    }
    wrongBefore = wrongOf(found);
    return healthOf(found, plan);
  };

  return {
    name,
    plan,
    drained: open && { stream: open.stream, cpus: open.cpus, rule },
    start: () => {
      instance.enable(plan.events);
      instance.start();
      expected = {
        dir: instance.dir,
        events: plan.events,
        state: instance.state(plan.events, disks),
        stopsWhen: parts.stopsWhen,
        isTopLevel: instance.dir === instance.root,
      };
      startWatching();
      for (const cpu of everRead) lookAt(cpu, counts.readEvents(cpu));
      parts.whenStarted?.();
    },
    refresh: () => {
      open?.refresh();
      for (const cpu of open?.cpus() ?? []) everRead.add(cpu);
      plan.sweep();
    },
    beforeTick: () => {
      if (closed) return;
      for (const cpu of open?.cpus() ?? []) lookAt(cpu, counts.readEvents(cpu));
    },
    wasTouched: () => touched,
    check,
    readings,
    status: () => ({
      buffer: name,
      instance: instance.name,
      reader: planned.reader,
      bufferBytesPerCpu: rule.bufferBytesPerCpu,
      subbufferBytes: inForce.subbufferBytes,
    }),
    finish: () => {
      watch?.close();
      instance.stop();
      open?.stream.flush();
    },
    remove: () => {
      if (closed) return;
      closed = true;
      watch?.close();
      counts.close();
      open?.close();
      const problems = [...(parts.stopTracer?.() ?? []), ...instance.remove()];
      if (problems.length === 0) return;
      throw new KernelError({
        file: instance.dir,
        errno: '',
        action: 'put back all of',
        remedy: problems.join('; '),
      });
    },
  };
}

function wrongOf(found: readonly Interference[]): string {
  return found.map(({ reason }) => reason).join('; ');
}

function healthOf(found: readonly Interference[], plan: EventPlan): BufferHealth {
  const down = new Map<string, string>();
  const stopping = found.filter((one) => !one.isHarmless);
  for (const { reason, events } of stopping)
    for (const probe of [...plan.probes, ...plan.helpers])
      if (events === undefined || probe.events.some((event) => events.includes(event)))
        down.set(probe.name, down.get(probe.name) ?? reason);
  return {
    problems: stopping.map(({ reason }) => reason),
    notices: found.filter((one) => one.isHarmless).map(({ reason }) => reason),
    down,
  };
}
