/** `check-config`: checks a config file, and prints its effect or every problem with its place. */
import { checkNames } from '../agent/doctor/check-names.ts';
import { configJsonSchema, loadAgentConfig } from '../agent/main/compose-config.ts';
import { UsageError } from '../model/errors.ts';
import { print } from './output.ts';

/**
 * Checks the file without the environment, which can differ where the agent runs. Throws a `UsageError` with the
 * problems.
 */
export function checkConfig(file: string | undefined): void {
  if (file === undefined) {
    throw new UsageError(
      'check-config needs a file, as in: ftrace-exporter check-config ftrace-exporter.yaml',
    );
  }
  const config = loadAgentConfig({ file, env: {} });
  const { probes, spans } = config;
  print(`${file} is good; probes that are on: ${probes.map(({ name }) => name).join(', ') || 'none'}`);
  for (const { probe, note } of checkNames(config)) print(`warning: probes.${probe}.${note}`);
  if (probes.length === 0 && spans === undefined)
    print('this config traces nothing: `run` starts only if flags or variables switch something on');
}

export function printSchema(): void {
  print(JSON.stringify(configJsonSchema(), undefined, 2));
}
