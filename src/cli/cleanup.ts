/**
 * `cleanup`: removes the instances of an agent that was killed, puts back what it had changed, and says so. With
 * `--on-signal` it does that at the end of a pod, beside an agent that may have been killed before.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { recordingInstance } from '../agent/record/record.ts';
import type { AgentConfig } from '../config/schema.ts';
import { type CleanupReport, cleanup } from '../tracefs/cleanup.ts';
import { findTracefs } from '../tracefs/mount.ts';
import { onEndSignals } from './ending.ts';
import { EXIT_FAILED } from './failure.ts';
import { print } from './output.ts';

const LOOK_AGAIN_MS = 200;

/** The exit status is 1 when something could not be put back. */
export function removeLeftovers(config: AgentConfig): number {
  return say(config, cleanUp(config));
}

/** Waits for SIGTERM or SIGINT, then until no live agent holds the instance, and cleans up. A second signal ends it. */
export async function removeLeftoversOnSignal(config: AgentConfig): Promise<number> {
  print(`waiting for SIGTERM to clean up after the agent ${config.instance}`);
  await firstSignal();
  for (;;) {
    const report = cleanUp(config);
    if (!report.busy.includes(config.instance)) return say(config, report);
    await sleep(LOOK_AGAIN_MS);
  }
}

function firstSignal(): Promise<void> {
  return new Promise((resolve) => {
    // A handler does not keep the event loop running.
    const running = setInterval(() => {}, 2 ** 30);
    const first = () => {
      clearInterval(running);
      resolve();
    };
    onEndSignals(['SIGTERM', 'SIGINT'], { first, again: () => process.exit(EXIT_FAILED) });
  });
}

/** Removes and puts back what the agent of this config left. Throws `KernelError`. */
export function cleanUp(config: AgentConfig): CleanupReport & { root: string } {
  // Where tracefs is not mounted nothing was left that a mount would bring back: no mounting here.
  const root = findTracefs({ ...(config.tracefsPath ? { path: config.tracefsPath } : {}), mayMount: false });
  // Ours alone: another tool's may begin with the same letters.
  const names = [config.instance, recordingInstance(config)];
  return { root, ...cleanup(root, names, config.stateDir) };
}

function say(config: AgentConfig, report: CleanupReport & { root: string }): number {
  const { root, removed, busy, restored, problems } = report;
  for (const name of removed) print(`removed the instance ${name}`);
  for (const file of restored) print(`put back ${file}`);
  for (const name of busy) print(`left the instance ${name} alone: a live agent holds it`);
  for (const problem of problems) print(`could not put all back: ${problem}`);
  if (removed.length + busy.length + restored.length + problems.length === 0)
    print(`nothing to clean up: no instance ${config.instance} in ${root}`);
  return problems.length === 0 ? 0 : EXIT_FAILED;
}
