/**
 * Options of helper probes: probes that have no metrics and are not in the catalogue. The keys that all
 * probes have do not affect them.
 */
import type { SchemaKit } from '../../config/units.ts';
import type { CommonOptions } from '../probe.ts';

const KEYS = { per_cpu: false, max_series: 1, buckets: [1] };

export const HELPER_OPTIONS: CommonOptions = { enabled: true, ...KEYS };

export function helperSchema({ probeSchema }: SchemaKit) {
  return probeSchema({ enabled: false, ...KEYS }, {});
}
