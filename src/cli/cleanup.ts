/** `cleanup`: removes the instances of an agent that was killed, and says which. */
import { recordingInstance } from '../agent/record.ts';
import type { AgentConfig } from '../config/schema.ts';
import { cleanup } from '../tracefs/cleanup.ts';
import { findTracefs } from '../tracefs/mount.ts';
import { print } from './output.ts';

export function removeLeftovers(config: AgentConfig): void {
  // Where tracefs is not mounted nothing was left that a mount would bring back: no mounting here.
  const root = findTracefs({ ...(config.tracefsPath ? { path: config.tracefsPath } : {}), mayMount: false });
  // Ours alone: another tool's instance may begin with the same letters.
  const { removed, busy } = cleanup(root, [config.instance, recordingInstance(config)]);
  for (const name of removed) print(`removed the instance ${name}`);
  for (const name of busy) print(`left the instance ${name} alone: a live agent holds it`);
  if (removed.length + busy.length === 0)
    print(`nothing to clean up: no instance ${config.instance} in ${root}`);
}
