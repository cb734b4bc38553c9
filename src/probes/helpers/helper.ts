/**
 * Options of helper probes, which have no metrics and are not in the catalogue. `KEYS` are keys that every probe must
 * have. Helper probes do not use their values.
 */
import type { SchemaKit } from '../../config/units.ts';
import type { CommonOptions } from '../probe.ts';

const KEYS = { per_cpu: false, max_series: 1, buckets: [1] };

export const HELPER_OPTIONS: CommonOptions = { enabled: true, ...KEYS };

export function helperSchema({ probeSchema }: SchemaKit) {
  return probeSchema({ enabled: false, ...KEYS }, {});
}
