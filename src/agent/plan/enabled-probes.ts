/** Separate from compose-config.ts so that the capture thread does not load the schema library. */
import type { AgentConfig } from '../../config/schema.ts';
import { METRICS_PREFIX } from '../../model/declared-metric.ts';
import { probeCatalogue } from '../../probes/catalogue.ts';
import { type UserMetricOptions, userMetric } from '../../probes/declared/user-metric.ts';
import type { CommonOptions, ProbeModule } from '../../probes/probe.ts';
import type { EnabledProbe } from './plan.ts';

/** In the order of `config.probes`. */
export function enabledProbes(config: AgentConfig): EnabledProbe[] {
  return config.probes.map(({ name, options }) => {
    if (name.startsWith(METRICS_PREFIX)) {
      const declared = options as unknown as UserMetricOptions;
      return { module: userMetric(name, declared) as unknown as ProbeModule, options: declared };
    }
    const module = probeCatalogue.find((candidate) => candidate.name === name);
    if (module === undefined)
      throw new Error(`the config contains a probe that is not in the catalogue: ${name}`);
    // The cast is safe, because this module's schema produced the options.
    return { module, options: options as unknown as CommonOptions };
  });
}
