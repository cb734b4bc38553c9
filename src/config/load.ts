/** Loads the config. Precedence: flags, environment variables, file, defaults. One error lists all problems. */
import { UsageError } from '../model/errors.ts';
import { describeConflicts, describeMissingProbes } from './conflicts.ts';
import { isMap, overlay, withoutNulls } from './overlay.ts';
import { describeProblems } from './problems.ts';
import {
  type AgentConfig,
  composeSchema,
  jsonSchemaOf,
  type ProbeSection,
  switchProbes,
  toAgentConfig,
} from './schema.ts';
import { fromEnvironment, fromFlags, type ProbeSwitch } from './settings.ts';
import { readYamlFile, type YamlFile } from './yaml-file.ts';

export interface ConfigSources {
  /** Path of the config file. If undefined: the path in FTRACE_EXPORTER_CONFIG_FILE, or no file. */
  file?: string | undefined;
  env: NodeJS.ProcessEnv;
  /** Values of flags, by config key (see `SETTINGS`). */
  flags?: Readonly<Record<string, string>>;
  /** Values of `--probe` and `--no-probe`, in the order of the command line. */
  probes?: readonly ProbeSwitch[];
  /**
   * Whether the config is for a recording. Probes then use `inRecordings`, and conflicts between probes are allowed.
   */
  isRecorded?: boolean;
}

/** Reads, merges and checks the config. Throws a `UsageError` with one line per problem. */
export function loadConfig(sections: readonly ProbeSection[], sources: ConfigSources): AgentConfig {
  const environment = fromEnvironment(sources.env);
  const path = sources.file ?? environment.configFile;
  const file = path === undefined ? undefined : readYamlFile(path);
  if (file !== undefined && file.value !== undefined && !isMap(file.value)) {
    throw new UsageError(
      `${file.place([], 'value')}: a config must be a map of keys, as in "instance: ftrace-exporter"`,
    );
  }
  const flags = fromFlags(sources.flags ?? {}, sources.probes ?? []);
  const layers = [flags, environment.layer];
  const written = [environment.layer.value, flags.value].reduce<unknown>(overlay, fromFile(file));
  const raw = written as Record<string, unknown>;
  const value = { ...raw, probes: switchProbes(raw.probes, sections, sources.isRecorded === true) };

  const schema = composeSchema(sections);
  const checked = schema.safeParse(value);

  const place = (at: readonly PropertyKey[], part: 'key' | 'value'): string => {
    const key = at.map(String).join('.');
    for (const { origins } of layers) {
      const origin = origins.get(key) ?? (part === 'key' ? origins.get(`${key}.enabled`) : undefined);
      if (origin !== undefined) return origin;
    }
    return file?.place(at, part) ?? '';
  };
  if (checked.success) {
    const config = toAgentConfig(checked.data, sections);
    if (sources.isRecorded) return config;
    const conflicts = [
      ...describeConflicts(sections, config.probes, (probe) => place(['probes', probe], 'key')),
      ...describeMissingProbes(sections, config, (kind) => place(['spans', 'kinds', kind], 'key')),
    ];
    if (conflicts.length > 0) throw new UsageError(conflicts.join('\n'));
    return config;
  }
  const jsonSchema = jsonSchemaOf(schema);
  throw new UsageError(describeProblems(checked.error.issues, { value, jsonSchema, place }).join('\n'));
}

/** Removes keys without a value. Keeps empty sections of probes and kinds of traces, because these are switched on. */
function fromFile(file: YamlFile | undefined): unknown {
  if (!isMap(file?.value)) return {};
  const { probes, spans } = file.value;
  return withoutNulls({
    ...file.value,
    ...(isMap(probes) ? { probes: named(probes) } : {}),
    ...(isMap(spans) && isMap(spans.kinds) ? { spans: { ...spans, kinds: named(spans.kinds) } } : {}),
  });
}

function named(sections: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(sections).map(([name, section]) => [name, section ?? {}]));
}
