import type { AgentConfig } from '../../config/schema.ts';

/** Differs from the name of the agent's instance, so that both can exist at the same time. */
export function recordingInstance(config: Pick<AgentConfig, 'instance'>): string {
  return `${config.instance}-record`;
}
