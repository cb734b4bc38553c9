/**
 * Suspends and resumes probes of the events buffer to keep the agent within its CPU budget. Never suspends probes of
 * tracers, but counts their CPU time.
 */
import type { BudgetConfig } from '../../config/budget.ts';
import type { MetricStore } from '../../metrics/store.ts';
import type { Log } from '../../model/log.ts';
import type { BudgetStatus } from '../../model/status.ts';
import type { PhaseCpu } from '../contract/pulse.ts';
import { type Budget, makeBudget, type Suspension } from './budget.ts';

/** Minimum time between two checks of the budget. */
const STEP_MS = 250;

export interface BudgetKeeperParts {
  config: BudgetConfig;
  cpus: number;
  store: MetricStore;
  log: Log;
  candidates: readonly string[];
  /** Number of events that each probe has received. */
  eventCounts(): ReadonlyMap<string, number>;
  suspend(probe: string): void;
  resume(probe: string): void;
  now?: () => { atMs: number; cpuMs: number };
}

export interface BudgetKeeper {
  /** Called after each tick with the total CPU times of the capture thread. */
  ticked(cpu: PhaseCpu): void;
  update(): void;
  /** Undefined if the probe is not suspended. */
  suspended(probe: string): { reason: string; until: string } | undefined;
  status(): BudgetStatus;
  candidates: readonly string[];
  resumeAll(): void;
  /** Drops the series of all probes except `candidates`. */
  forgetAllBut(candidates: readonly string[]): void;
  /** Warnings for the status. */
  warnings(): string[];
}

interface Current extends Suspension {
  sinceMs: number;
  until: string;
  reason: string;
}

function processTimes(): { atMs: number; cpuMs: number } {
  const { user, system } = process.cpuUsage();
  return { atMs: performance.now(), cpuMs: (user + system) / 1e3 };
}

export function keepBudget(parts: BudgetKeeperParts): BudgetKeeper {
  const { config, log, candidates, now = processTimes } = parts;
  const cores = config.share * (config.of === 'core' ? 1 : parts.cpus);
  const budget: Budget = makeBudget({ ...config, cores });
  const limit = `its budget of ${percent(config.share)} of ${config.of === 'core' ? 'a core' : 'the node'}`;
  const { count, forgetAllBut } = declareSuspendedSeconds(parts.store, candidates);
  const current = new Map<string, Current>();
  let stepAtMs = 0;
  let countedMs = now().atMs;
  let wasExceeded = false;

  const inWords = (usedCores: number) =>
    config.of === 'core'
      ? `${percent(usedCores)} of a core`
      : `${percent(usedCores / parts.cpus)} of the node`;

  const suspend = (suspension: Suspension, atMs: number): void => {
    const { probe, durationMs, usedCores } = suspension;
    const until = new Date(Date.now() + durationMs).toISOString();
    const reason = `suspended until ${until}: the agent used ${inWords(usedCores)} within ${config.windowMs / 1000} s, more than ${limit}`;
    parts.suspend(probe);
    current.set(probe, { ...suspension, sinceMs: atMs, until, reason });
    const fields = { probe, seconds: durationMs / 1000, used: inWords(usedCores) };
    log.warn(fields, `suspended a probe: the agent is over ${limit}`);
  };

  const resume = (probe: string, atMs: number): void => {
    parts.resume(probe);
    const seconds = Math.round((atMs - (current.get(probe)?.sinceMs ?? atMs)) / 1000);
    current.delete(probe);
    log.info({ probe, seconds }, 'resumed a suspended probe');
  };

  /** Adds the time since the last call to the counter of each suspended probe. */
  const addTime = (atMs: number): void => {
    for (const [probe, { sinceMs }] of current) count(probe, (atMs - Math.max(sinceMs, countedMs)) / 1000);
    countedMs = atMs;
  };

  return {
    ticked: ({ readSeconds, decodeSeconds }) => {
      if (performance.now() < stepAtMs) return;
      stepAtMs = performance.now() + STEP_MS;
      const { atMs, cpuMs } = now();
      const capturedMs = (readSeconds + decodeSeconds) * 1000;
      const step = budget.step(atMs, { cpuMs, capturedMs, events: parts.eventCounts() }, candidates);
      if (step.suspend !== undefined || step.resume !== undefined) addTime(atMs);
      if (step.suspend !== undefined) suspend(step.suspend, atMs);
      if (step.resume !== undefined) resume(step.resume, atMs);
      const isExceeded = budget.isExceeded();
      if (isExceeded && !wasExceeded)
        log.warn(
          { used: inWords(budget.usedCores()) },
          `the agent is over ${limit}, and no single probe uses enough CPU time to be worth suspending: disable several probes or raise the budget`,
        );
      wasExceeded = isExceeded;
    },
    update: () => addTime(now().atMs),
    candidates,
    forgetAllBut,
    resumeAll: () => {
      const { atMs } = now();
      addTime(atMs);
      for (const probe of [...current.keys()]) resume(probe, atMs);
    },
    suspended: (probe) => current.get(probe),
    status: () => ({
      cores,
      usedCores: budget.usedCores(),
      windowSeconds: config.windowMs / 1000,
      suspended: [...current.values()].map(({ probe, until, reason }) => ({ probe, until, reason })),
    }),
    warnings: () => [
      ...[...current.values()].map(({ probe, reason }) => `probe ${probe} is ${reason}`),
      ...(budget.isExceeded()
        ? [
            `the agent uses ${inWords(budget.usedCores())}, more than ${limit}, and no single probe uses enough CPU time to be worth suspending: disable several probes or raise the budget`,
          ]
        : []),
    ],
  };
}

/** Creates the series of all candidates at 0, so that Prometheus sees their first increase. */
export function declareSuspendedSeconds(
  store: MetricStore,
  candidates: readonly string[],
): { count(probe: string, seconds: number): void } & Pick<BudgetKeeper, 'forgetAllBut'> {
  const family = store.counter({
    name: 'ftrace_exporter_probe_suspended_seconds_total',
    help: 'Time for which the agent suspended a probe, because the agent had used more CPU time than its budget allows.',
    unit: 'seconds',
    labels: ['probe'],
  });
  for (const probe of candidates) family.slot([probe]);
  return {
    count: (probe, seconds) => family.add(family.slot([probe]), seconds),
    forgetAllBut: (probes) => {
      for (const probe of candidates) if (!probes.includes(probe)) family.release('probe', probe);
    },
  };
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}
