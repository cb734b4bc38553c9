/** Notices when other users of tracefs change a buffer of the agent. Undoes most changes after a delay. */
import { join } from 'node:path';
import { KernelError } from '../../model/errors.ts';
import { type ControlWatch, watchControls } from '../../tracefs/control-watch.ts';
import type { Instance } from '../../tracefs/instance.ts';
import {
  CPU_MASK,
  diskSwitch,
  filterOf,
  type InstanceState,
  PID_LISTS,
} from '../../tracefs/instance-state.ts';
import { emptyList } from '../../tracefs/list-files.ts';
import type { EventPlan } from '../plan/plan.ts';
import { type Expected, type Interference, interferences, UNDO_AFTER_MS, type Undo } from './interference.ts';
import { makeOwnSwitches, type OwnSwitches } from './own-switches.ts';
import type { Shared } from './shared.ts';

/** What other users have changed in a buffer. */
export interface BufferHealth {
  /** Why events of the buffer are missing. */
  problems: readonly string[];
  /** Changes that lose no events. */
  notices: readonly string[];
  /** Probes that miss events, with the reason. */
  down: ReadonlyMap<string, string>;
}

export const HEALTHY: BufferHealth = { problems: [], notices: [], down: new Map() };

export interface HealthWatchParts {
  instance: Instance;
  plan: EventPlan;
  disks: readonly string[];
  /** Settings of the tracer, relative to the root of tracefs. */
  settings: readonly string[];
  /** Why the kernel itself may have stopped recording; '' if it never does. */
  stopsWhen: string;
  shared: Shared;
  /** Drops open operations (begun but not ended), because their events may be missing. */
  voidOpen(): void;
  /** Called when recording was or may have been interrupted. */
  onPause(): void;
  /** Called before the agent undoes a change. With some tracers, the kernel then empties the buffer. */
  beforeUndo(): void;
  /** Called at each check. Other users can change the size. */
  onSize(bufferBytesPerCpu: number): void;
}

export interface HealthWatch extends Pick<OwnSwitches, 'switchEvents'> {
  /** Stores the current state as the expected state. Call this after recording has begun. */
  start(): void;
  /** `change` switches the instance to another plan. Still notices changes that others made before the switch. */
  replan<T extends { plan: EventPlan }>(change: () => T): T;
  /** Whether another user has written to a control file since the last `check`. */
  wasTouched(): boolean;
  /** Throws if another user has changed the clock, the sub-buffer size or the tracer. `nowMs` is monotonic. */
  check(nowMs: number): BufferHealth;
  close(): void;
}

export function makeHealthWatch(parts: HealthWatchParts): HealthWatch {
  const { instance, disks, settings, voidOpen } = parts;
  const { log, onlineCpus } = parts.shared;
  let { plan } = parts;
  const recorded = () => ({ events: plan.events, disks, settings });
  let expected: Expected | undefined;
  let watch: ControlWatch | undefined;
  let isTouched = false;
  /** Whether inotify may still report the agent's own writes. */
  let isUndoing = false;
  const own = makeOwnSwitches(instance, log);
  /** The reasons of all changes that the last check found. */
  let wrongBefore = '';
  let undoAtMs = Number.POSITIVE_INFINITY;

  const startWatching = (): void => {
    const others = [...disks.map(diskSwitch), ...settings.map((file) => join(instance.root, file))];
    const files = { events: plan.events, cpus: onlineCpus, others };
    watch = watchControls(instance.dir, files, (file) => {
      if (own.isOwnWrite(file)) return;
      voidOpen();
      if (!isUndoing) isTouched = true;
    });
    if (watch.problem === '') return;
    log.warn(
      { instance: instance.dir, reason: watch.problem },
      'cannot watch control files: if another user interrupts the recording only briefly, the agent may not notice it',
    );
  };

  const undo = (changes: readonly Interference[]): void => {
    // inotify reports these writes before the next setImmediate callback runs.
    isUndoing = true;
    setImmediate(() => {
      isUndoing = false;
    });
    parts.beforeUndo();
    for (const { undo: steps = [] } of changes)
      for (const step of steps) undoOne(instance, step, parts.shared);
    voidOpen();
  };

  const interfered = (): Interference[] => {
    if (expected === undefined) return [];
    const state = instance.state(recorded());
    parts.onSize(state.bufferBytesPerCpu);
    const events = plan.events.filter((event) => !own.off.has(event));
    return interferences({ ...expected, events }, state);
  };

  return {
    start: () => {
      expected = {
        root: instance.root,
        dir: instance.dir,
        events: plan.events,
        switchedOff: own.off,
        state: instance.state(recorded()),
        stopsWhen: parts.stopsWhen,
        isTopLevel: instance.dir === instance.root,
      };
      startWatching();
    },
    replan: (change) => {
      watch?.close();
      const next = change();
      if (expected !== undefined) {
        const state = instance.state({ ...recorded(), events: next.plan.events });
        expected = expectedAfter(expected, plan, next.plan, state);
      }
      plan = next.plan;
      startWatching();
      return next;
    },
    wasTouched: () => isTouched,
    switchEvents: own.switchEvents,
    check: (nowMs) => {
      let changes = interfered();
      // inotify does not report every change. The time of an unreported change is unknown.
      if (isTouched || wrongOf(changes) !== wrongBefore) {
        parts.onPause();
        voidOpen();
      }
      isTouched = false;
      if (!changes.some((one) => one.undo)) undoAtMs = Number.POSITIVE_INFINITY;
      else if (undoAtMs === Number.POSITIVE_INFINITY) undoAtMs = nowMs + UNDO_AFTER_MS;
      else if (nowMs >= undoAtMs) {
        undo(changes);
        changes = interfered();
        undoAtMs = Number.POSITIVE_INFINITY;
      }
      wrongBefore = wrongOf(changes);
      return healthOf(changes, plan);
    },
    close: () => watch?.close(),
  };
}

/** Returns the expected state after a switch to another plan. Limits stay as before unless the switch changes them. */
function expectedAfter(expected: Expected, before: EventPlan, next: EventPlan, now: InstanceState): Expected {
  const limits = new Map(now.limits);
  for (const event of next.events) {
    const file = filterOf(event);
    const old = expected.state.limits.get(file);
    if (old !== undefined && before.filters.get(event) === next.filters.get(event)) limits.set(file, old);
  }
  for (const file of [CPU_MASK, ...PID_LISTS]) {
    const old = expected.state.limits.get(file);
    if (old !== undefined) limits.set(file, old);
  }
  return { ...expected, events: next.events, state: { ...expected.state, limits } };
}

function undoOne(instance: Instance, step: Undo, { log }: Shared): void {
  try {
    if (step.isList) emptyList(join(instance.dir, step.file));
    if (step.isList) instance.add(step.file, step.value.split(/\s+/).filter(Boolean));
    else instance.set(step.file, step.value);
    log.warn(
      { file: join(instance.dir, step.file), restored: step.value },
      'undid a change by another program',
    );
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    log.error({ reason: error.message }, 'cannot undo a change by another program');
  }
}

function wrongOf(changes: readonly Interference[]): string {
  return changes.map(({ reason }) => reason).join('; ');
}

function healthOf(changes: readonly Interference[], plan: EventPlan): BufferHealth {
  const down = new Map<string, string>();
  const stopping = changes.filter((one) => !one.isHarmless);
  for (const { reason, events } of stopping)
    for (const probe of [...plan.probes, ...plan.helpers])
      if (events === undefined || probe.events.some((event) => events.includes(event)))
        down.set(probe.name, down.get(probe.name) ?? reason);
  return {
    problems: stopping.map(({ reason }) => reason),
    notices: changes.filter((one) => one.isHarmless).map(({ reason }) => reason),
    down,
  };
}
