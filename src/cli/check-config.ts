/** `check-config`: checks a config file. Prints the enabled probes, or all problems. */
import { checkNames } from '../agent/doctor/check-names.ts';
import { survey } from '../agent/doctor/survey.ts';
import { configJsonSchema, loadAgentConfig } from '../agent/main/compose-config.ts';
import { UsageError } from '../model/errors.ts';
import { EXIT_FAILED } from './failure.ts';
import { print } from './output.ts';

/**
 * Returns exit status 1 if `isLive` and a probe or metric does not work on this kernel. Throws a `UsageError` for an
 * invalid file. Ignores environment variables, because the agent may run in another environment.
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
