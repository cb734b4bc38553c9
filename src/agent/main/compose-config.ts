/** Loads the config with a schema that contains the sections of all probes in the catalogue. */
import { type ConfigSources, loadConfig } from '../../config/load.ts';
import { type AgentConfig, composeSchema, jsonSchemaOf } from '../../config/schema.ts';
import { probeCatalogue } from '../../probes/catalogue.ts';

export type { AgentConfig } from '../../config/schema.ts';

/** Loads the config from flags, environment, file and defaults. Throws a `UsageError` that lists all problems. */
export function loadAgentConfig(sources: ConfigSources): AgentConfig {
  return loadConfig(probeCatalogue, sources);
}

/** Returns the JSON Schema of the config file. */
export function configJsonSchema(): object {
  return jsonSchemaOf(composeSchema(probeCatalogue));
}
