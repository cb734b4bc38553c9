/** Options of helper probes, which have no metrics. `KEYS` are required, but unused. */
import type { SchemaKit } from '../../config/units.ts';
import type { CommonOptions } from '../probe.ts';

const KEYS = { per_cpu: false, max_series: 1, buckets: [1] };

export const HELPER_OPTIONS: CommonOptions = { enabled: true, ...KEYS };

export function helperSchema({ probeSchema }: SchemaKit) {
  return probeSchema({ enabled: false, ...KEYS }, {});
}
