/**
 * Decides which probes to suspend, and when to resume them. The agent is over its budget if its CPU time within the
 * window exceeds the budget of a whole window.
 */

export interface BudgetLimits {
  /** Average number of CPUs that the agent may use. */
  cores: number;
  windowMs: number;
  /** Length of a probe's first suspension. Each further suspension is twice as long, up to `longestMs`. */
  suspendMs: number;
  longestMs: number;
}

/** Totals since the start. */
export interface Usage {
  cpuMs: number;
  /** CPU time of reading and decoding; a part of `cpuMs`. */
  capturedMs: number;
  /** By probe. */
  events: ReadonlyMap<string, number>;
}

export interface Suspension {
  probe: string;
  durationMs: number;
  /** Average number of CPUs that the agent used within the window. */
  usedCores: number;
}

export interface BudgetStep {
  suspend?: Suspension;
  resume?: string;
}

export interface Budget {
  /** Call this a few times per second. `candidates`: probes that may be suspended. */
  step(nowMs: number, usage: Usage, candidates: readonly string[]): BudgetStep;
  /** Average number of CPUs that the agent used within the window. */
  usedCores(): number;
  /** Whether the agent is over its budget and no probe is worth suspending. */
  isExceeded(): boolean;
}

/** A suspension must save at least this share of the budget. */
const LEAST_SAVING = 0.1;

interface Suspended {
  sinceMs: number;
  untilMs: number;
}

export function makeBudget({ cores, windowMs, suspendMs, longestMs }: BudgetLimits): Budget {
  /** Oldest first. The first sample is from before the window, if there is one. */
  const samples: (Usage & { atMs: number })[] = [];
  const suspended = new Map<string, Suspended>();
  /** The last suspension of each probe. */
  const history = new Map<string, { durationMs: number; endMs: number }>();
  let usedCores = 0;
  let isExceeded = false;

  const nextDuration = (probe: string, nowMs: number): number => {
    const last = history.get(probe);
    // If the probe has run for at least as long as its last suspension lasted, use the first length again.
    if (last === undefined || nowMs - last.endMs >= last.durationMs) return suspendMs;
    return Math.min(2 * last.durationMs, longestMs);
  };

  /** The running candidate with the most events in the window, if suspending it would save enough CPU time. */
  const mostExpensive = (candidates: readonly string[]): string | undefined => {
    const [first, last] = [samples[0], samples[samples.length - 1]];
    const grown = new Map([...last.events].map(([name, n]) => [name, n - (first.events.get(name) ?? 0)]));
    const all = [...grown.values()].reduce((sum, n) => sum + n, 0);
    let most: string | undefined;
    for (const name of candidates)
      if (!suspended.has(name) && (grown.get(name) ?? 0) > (grown.get(most ?? '') ?? 0)) most = name;
    const share = most === undefined ? 0 : (grown.get(most) ?? 0) / all;
    const savedMs = share * (last.capturedMs - first.capturedMs);
    return savedMs >= LEAST_SAVING * cores * windowMs ? most : undefined;
  };

  return {
    usedCores: () => usedCores,
    isExceeded: () => isExceeded,
    step: (nowMs, usage, candidates) => {
      samples.push({ ...usage, atMs: nowMs });
      while (samples.length > 2 && samples[1].atMs <= nowMs - windowMs) samples.shift();
      usedCores = (usage.cpuMs - samples[0].cpuMs) / windowMs;
      const isOver = usedCores > cores;
      const probe = isOver ? mostExpensive(candidates) : undefined;
      isExceeded = isOver && probe === undefined;
      if (probe !== undefined) {
        const durationMs = nextDuration(probe, nowMs);
        suspended.set(probe, { sinceMs: nowMs, untilMs: nowMs + durationMs });
        // The next decision considers only CPU time after the suspension.
        samples.splice(0, samples.length - 1);
        return { suspend: { probe, durationMs, usedCores } };
      }
      if (isOver) return {};
      // Resume one probe per step, so that the next steps measure the cost of this probe.
      for (const [name, { sinceMs, untilMs }] of suspended) {
        if (nowMs < untilMs) continue;
        suspended.delete(name);
        history.set(name, { durationMs: untilMs - sinceMs, endMs: nowMs });
        return { resume: name };
      }
      return {};
    },
  };
}
