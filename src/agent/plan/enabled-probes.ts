/**
 * Finds the modules of the configured probes. Separate from compose-config.ts, so that the capture thread loads no
 * schema library.
 */
import type { AgentConfig } from '../../config/schema.ts';
import { probeCatalogue } from '../../probes/catalogue.ts';
import type { CommonOptions } from '../../probes/probe.ts';
import type { EnabledProbe } from './plan.ts';

/** Probes that are on, in the order of the catalogue, with their options. */
export function enabledProbes(config: AgentConfig): EnabledProbe[] {
  return config.probes.map(({ name, options }) => {
    const module = probeCatalogue.find((candidate) => candidate.name === name);
    if (module === undefined) throw new Error(`the config has a probe that is not in the catalogue: ${name}`);
    // The options come from this module's schema; the config only lost their type.
    return { module, options: options as unknown as CommonOptions };
  });
}
