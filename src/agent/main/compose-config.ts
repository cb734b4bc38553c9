import { type ConfigSources, loadConfig } from '../../config/load.ts';
import { type AgentConfig, composeSchema, jsonSchemaOf } from '../../config/schema.ts';
import { probeCatalogue } from '../../probes/catalogue.ts';

export type { AgentConfig } from '../../config/schema.ts';

/** Throws a `UsageError` that lists all problems. */
export function loadAgentConfig(sources: ConfigSources): AgentConfig {
  return loadConfig(probeCatalogue, sources);
}

export function configJsonSchema(): object {
  return jsonSchemaOf(composeSchema(probeCatalogue));
}
