/**
 * `check-config`: checks a config file. Prints the names of the enabled probes, or all problems with line and column.
 */
import { checkNames } from '../agent/doctor/check-names.ts';
import { survey } from '../agent/doctor/survey.ts';
import { configJsonSchema, loadAgentConfig } from '../agent/main/compose-config.ts';
import { UsageError } from '../model/errors.ts';
import { EXIT_FAILED } from './failure.ts';
import { print } from './output.ts';

/**
 * Checks a config file, and returns the exit status. Ignores environment variables, because the agent may run in a
 * different environment. Throws a `UsageError` if no file is given or if the file is invalid. If `isLive`, also checks
 * whether the enabled probes and metrics work on this kernel, and returns 1 if one does not.
 */
export async function checkConfig(file: string | undefined, isLive = false): Promise<number> {
  if (file === undefined) {
    throw new UsageError(
      'check-config needs a file, as in: ftrace-exporter check-config ftrace-exporter.yaml',
    );
  }
  const config = loadAgentConfig({ file, env: {} });
  const { probes, spans } = config;
  print(`${file} is valid; enabled probes: ${probes.map(({ name }) => name).join(', ') || 'none'}`);
  for (const { probe, note } of checkNames(config)) print(`warning: probes.${probe}.${note}`);
  if (probes.length === 0 && spans === undefined)
    print(
      'this config traces nothing: `run` starts only if flags or environment variables enable a probe or traces',
    );
  if (!isLive) return 0;
  const { problem, probes: surveyed } = await survey(config);
  if (problem !== '') print(`cannot trace this machine: ${problem}`);
  const off = surveyed.filter(({ on, ok }) => on && !ok);
  for (const { name, reason } of off) print(`${name} would be off: ${reason}`);
  return problem === '' && off.length === 0 ? 0 : EXIT_FAILED;
}

export function printSchema(): void {
  print(JSON.stringify(configJsonSchema(), undefined, 2));
}
