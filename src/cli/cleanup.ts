/** `cleanup`: removes tracefs instances of a killed agent, and restores settings; with `--on-signal`, after SIGTERM. */
import { setTimeout as sleep } from 'node:timers/promises';
import { recordingInstance } from '../agent/record/recording-instance.ts';
import type { AgentConfig } from '../config/schema.ts';
import { type CleanupReport, cleanup } from '../tracefs/cleanup.ts';
import { findTracefs } from '../tracefs/mount.ts';
import { onEndSignals } from './ending.ts';
import { EXIT_FAILED } from './failure.ts';
import { print } from './output.ts';

const LOOK_AGAIN_MS = 200;

/** Cleans up now, and prints the result. Returns the exit status: 1 if something could not be restored. */
export function removeLeftovers(config: AgentConfig): number {
  return say(config, cleanUp(config));
}

/** Waits for a signal and for the end of the agent, then cleans up. A second signal ends the process with status 1. */
export async function removeLeftoversOnSignal(config: AgentConfig): Promise<number> {
  const signal = firstSignal();
  print(`waiting for SIGTERM to clean up after the agent ${config.instance}`);
  await signal;
  for (;;) {
    const report = cleanUp(config);
    if (!report.busy.includes(config.instance)) return say(config, report);
    await sleep(LOOK_AGAIN_MS);
  }
}

function firstSignal(): Promise<void> {
  return new Promise((resolve) => {
    // A signal handler does not keep Node running. This timer does.
    const running = setInterval(() => {}, 2 ** 30);
    const first = () => {
      clearInterval(running);
      resolve();
    };
    onEndSignals(['SIGTERM', 'SIGINT'], { first, again: () => process.exit(EXIT_FAILED) });
  });
}

/** Removes what a killed agent left, and restores settings. Throws a `KernelError`, for example without tracefs. */
export function cleanUp(config: AgentConfig): CleanupReport & { root: string } {
  // Do not mount tracefs. Agents never unmount it, so without a mount, no agent has run here.
  const root = findTracefs({ path: config.tracefsPath, mayMount: false });
  const names = [config.instance, recordingInstance(config)];
  return { root, ...cleanup(root, names, config.stateDir) };
}

function say(config: AgentConfig, report: CleanupReport & { root: string }): number {
  const { root, removed, busy, restored, removedEvents, problems } = report;
  for (const name of removed) print(`removed the instance ${name}`);
  for (const file of restored) print(`restored ${file}`);
  for (const event of removedEvents) print(`removed the event ${event}`);
  for (const name of busy) print(`did not touch the instance ${name}: a running agent uses it`);
  for (const problem of problems) print(`could not restore everything: ${problem}`);
  if (removed.length + busy.length + restored.length + removedEvents.length + problems.length === 0)
    print(`nothing to clean up: no instance ${config.instance} in ${root}`);
  return problems.length === 0 ? 0 : EXIT_FAILED;
}
