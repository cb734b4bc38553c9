/** Connects the CPU budget with the events buffer and with traces. */
import type { BudgetStatus, KindStatus } from '../../model/status.ts';
import { CONTAINERS } from '../plan/containers.ts';
import { sumsOf } from '../plan/event-counts.ts';
import { SPANS, type SpanCapture } from '../slow/span-capture.ts';
import { type BudgetKeeper, keepBudget } from './budget-keeper.ts';
import { EVENTS_BUFFER, type LiveBuffer } from './buffer.ts';
import type { Shared } from './shared.ts';

export interface BudgetedState {
  spans: SpanCapture | undefined;
  buffers: readonly LiveBuffer[];
}

/** Does nothing if the config has no budget. */
export interface OpenBudget extends Pick<BudgetKeeper, 'ticked' | 'update' | 'suspended' | 'warnings'> {
  status(): BudgetStatus | undefined;
  /** A kind is down while its reporting probe or the helper probes for traces are suspended. */
  kinds(all: readonly KindStatus[]): KindStatus[];
  /** Resumes all probes before `change`, which makes a new plan of the events buffer. */
  reload(change: () => void): void;
}

export function openBudget(shared: Shared, state: () => BudgetedState): OpenBudget {
  let keeper = open(shared, state);
  return {
    ticked: (cpu) => keeper?.ticked(cpu),
    update: () => keeper?.update(),
    suspended: (probe) => keeper?.suspended(probe),
    warnings: () => keeper?.warnings() ?? [],
    status: () => keeper?.status(),
    kinds: (all) =>
      all.map((one) => {
        const reporter = state().spans?.reporter(one.kind) ?? '';
        const suspended = keeper?.suspended(SPANS) ?? keeper?.suspended(reporter);
        return one.up && suspended !== undefined ? { ...one, up: false, reason: suspended.reason } : one;
      }),
    reload: (change) => {
      keeper?.resumeAll();
      change();
      const before = keeper;
      keeper = open(shared, state);
      before?.forgetAllBut(keeper?.candidates ?? []);
    },
  };
}

/** Undefined without a budget or an events buffer. Essential probes and the container table's helper always run. */
function open(
  { config, store, log, onlineCpus }: Shared,
  state: () => BudgetedState,
): BudgetKeeper | undefined {
  const { buffers, spans } = state();
  const events = buffers.find(({ name }) => name === EVENTS_BUFFER);
  if (config.budget === undefined || events === undefined) return undefined;
  const essential = [
    CONTAINERS,
    ...(config.spans?.essential ? [SPANS] : []),
    ...config.probes.flatMap(({ name, options }) => (options.essential === true ? [name] : [])),
  ];
  const change = (step: (probe: string) => void, isPaused: boolean) => (probe: string) => {
    step(probe);
    if (probe === SPANS) spans?.pause(isPaused);
  };
  return keepBudget({
    config: config.budget,
    cpus: onlineCpus.length,
    store,
    log,
    candidates: [...events.plan.eventCounts().keys()].filter((name) => !essential.includes(name)),
    eventCounts: () => sumsOf(buffers.map(({ eventCounts }) => eventCounts())),
    suspend: change(events.suspend, true),
    resume: change(events.resume, false),
  });
}
