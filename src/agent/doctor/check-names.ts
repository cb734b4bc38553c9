/** Finds names in a config that match nothing on this machine. Changes nothing and does not mount tracefs. */
import { machine } from 'node:os';
import type { AgentConfig } from '../../config/schema.ts';
import { liveHostFacts } from '../../host/facts.ts';
import { KernelError } from '../../model/errors.ts';
import type { KernelOffer } from '../../probes/probe.ts';
import { listEvents } from '../../tracefs/events.ts';
import { findTracefs } from '../../tracefs/mount.ts';
import { enabledProbes } from '../plan/enabled-probes.ts';
import { unmatchedNames } from '../plan/unmatched-names.ts';
import { functionNamesOf } from './survey.ts';

/** If tracefs cannot be read, does not check names of events and functions. */
export function checkNames(config: AgentConfig): { probe: string; note: string }[] {
  const kernel = kernelOffer(config.tracefsPath);
  const host = liveHostFacts({ machine: kernel.machine });
  return enabledProbes(config).flatMap((probe) =>
    unmatchedNames(probe, kernel, host, 'this machine').map((note) => ({ probe: probe.module.name, note })),
  );
}

function kernelOffer(path: string | undefined): KernelOffer {
  try {
    const root = findTracefs({ path, mayMount: false });
    const events = listEvents(root);
    return { machine: machine(), events: () => events, functions: () => functionNamesOf(root) };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { machine: machine(), events: () => [] };
  }
}
