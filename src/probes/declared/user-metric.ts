/** Makes a probe from a metric that the config declares. */
import type { DeclaredMetric } from '../../model/declared-metric.ts';
import type { CommonOptions, ProbeModule } from '../probe.ts';
import { familyOf, needsOf, runMetrics } from './module.ts';

export interface UserMetricOptions extends CommonOptions {
  metric: DeclaredMetric;
}

export function userMetric(name: string, { metric }: UserMetricOptions): ProbeModule<UserMetricOptions> {
  return {
    name,
    help: metric.help,
    byDefault: false,
    rate: 'high',
    schema: ({ z }) => z.custom<UserMetricOptions>(),
    needs: () => needsOf(metric),
    create: (context, options) => runMetrics(context, [metric], options),
    metrics: [familyOf(metric)],
  };
}
