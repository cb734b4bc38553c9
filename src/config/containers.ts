/** The section `containers` of the config: how to find the container of a task. */
import { z } from 'zod';
import { type ContainersConfig, MOST_CONTAINERS } from '../model/containers.ts';
import { needsContainers } from '../model/declared-metric.ts';
import { count, duration, yesOrNo } from './units.ts';

const MS = 1e6;
const HOUR = 3_600_000 * MS;

function directory(byDefault: string) {
  return z
    .string({ error: 'must be the absolute path of a directory' })
    .regex(/^\/[^\0]*$/, 'must be the absolute path of a directory')
    .default(byDefault);
}

export function containersSchema() {
  return z.strictObject({
    enabled: z
      .union([z.literal('auto'), yesOrNo()], { error: 'must be auto, true or false' })
      .prefault('auto'),
    max: count(1, MOST_CONTAINERS).prefault(200),
    cgroup: directory('/sys/fs/cgroup'),
    pod_logs: directory('/var/log/pods'),
    keep: duration({ min: 0, max: HOUR }).prefault('5m'),
  });
}

/** Converts the section. Returns undefined if it is off, or if it is `auto` and no probe needs containers. */
export function toContainersConfig(
  checked: z.output<ReturnType<typeof containersSchema>>,
  probes: readonly { options: object }[],
): ContainersConfig | undefined {
  const isNeeded = probes.some(({ options }) => needsContainers(options));
  if (!(checked.enabled === 'auto' ? isNeeded : checked.enabled)) return undefined;
  const { max, cgroup: cgroupDir, pod_logs: podLogs, keep } = checked;
  return { cgroupDir, podLogs, max, keepMs: keep / MS };
}
