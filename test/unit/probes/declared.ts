/** Runs a metric, written as in a config, on made-up records. */
import { metricsSchema } from '../../../src/config/metrics.ts';
import { userMetric } from '../../../src/probes/declared/user-metric.ts';
import { type Harness, type Machine, run } from './records.ts';

export function declared(written: Record<string, unknown>, machine: Machine = {}): Harness {
  const [{ name, options }] = metricsSchema([]).parse([{ help: 'Test.', ...written }]);
  return run(userMetric(`metrics/${name}`, options), { ...options }, machine);
}
