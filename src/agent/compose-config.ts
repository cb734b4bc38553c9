/** The config schema with the sections of all probes in the catalogue; configured probes back to their modules. */
import { type ConfigSources, loadConfig } from '../config/load.ts';
import { type AgentConfig, composeSchema, jsonSchemaOf } from '../config/schema.ts';
import { probeCatalogue } from '../probes/catalogue.ts';
import type { CommonOptions } from '../probes/probe.ts';
import type { EnabledProbe } from './plan.ts';

export type { AgentConfig } from '../config/schema.ts';

/** The config from flags, environment, file and defaults. Throws a `UsageError` with the place of every problem. */
export function loadAgentConfig(sources: ConfigSources): AgentConfig {
  return loadConfig(probeCatalogue, sources);
}

/** JSON Schema of the config file. */
export function configJsonSchema(): object {
  return jsonSchemaOf(composeSchema(probeCatalogue));
}

/** Probes that are on, in the order of the catalogue, with their options. */
export function enabledProbes(config: AgentConfig): EnabledProbe[] {
  return config.probes.map(({ name, options }) => {
    const module = probeCatalogue.find((candidate) => candidate.name === name);
    if (module === undefined)
      throw new Error(`the config names a probe that is not in the catalogue: ${name}`);
    // They come from this module's schema, whose type the way through the config has lost.
    return { module, options: options as unknown as CommonOptions };
  });
}
