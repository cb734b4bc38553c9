/** `cleanup`: removes the instances of an agent that was killed, puts back what it had changed, and says so. */
import { recordingInstance } from '../agent/record.ts';
import type { AgentConfig } from '../config/schema.ts';
import { cleanup } from '../tracefs/cleanup.ts';
import { findTracefs } from '../tracefs/mount.ts';
import { EXIT_FAILED } from './failure.ts';
import { print } from './output.ts';

/** The exit status is 1 when something could not be put back. */
export function removeLeftovers(config: AgentConfig): number {
  // Where tracefs is not mounted nothing was left that a mount would bring back: no mounting here.
  const root = findTracefs({ ...(config.tracefsPath ? { path: config.tracefsPath } : {}), mayMount: false });
  // Ours alone: another tool's may begin with the same letters.
  const names = [config.instance, recordingInstance(config)];
  const { removed, busy, restored, problems } = cleanup(root, names, config.stateDir);
  for (const name of removed) print(`removed the instance ${name}`);
  for (const file of restored) print(`put back ${file}`);
  for (const name of busy) print(`left the instance ${name} alone: a live agent holds it`);
  for (const problem of problems) print(`could not put all back: ${problem}`);
  if (removed.length + busy.length + restored.length + problems.length === 0)
    print(`nothing to clean up: no instance ${config.instance} in ${root}`);
  return problems.length === 0 ? 0 : EXIT_FAILED;
}
