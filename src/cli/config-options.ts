/** Flags for keys of the config: declares them on commands, and reads them back as a config. */
import { type Command, Option } from 'commander';
import { type AgentConfig, loadAgentConfig } from '../agent/main/compose-config.ts';
import { CONFIG_FILE, type ProbeSwitch } from '../config/settings.ts';

type Group = 'instance' | 'tracefs' | 'probes' | 'web' | 'log' | 'reader' | 'state';

interface KeyFlag {
  group: Group;
  /** Key of the config. */
  key: string;
  flags: string;
  help: string;
}

const KEY_FLAGS: readonly KeyFlag[] = [
  {
    group: 'web',
    key: 'web.listen_address',
    flags: '--web.listen-address <address>',
    help: 'where to serve, host:port (default :10743)',
  },
  {
    group: 'web',
    key: 'web.telemetry_path',
    flags: '--web.telemetry-path <path>',
    help: 'path of the metrics (default /metrics)',
  },
  {
    group: 'web',
    key: 'web.config_file',
    flags: '--web.config.file <file>',
    help: 'YAML file with TLS, users and rates, as exporter-toolkit reads it (default: plain HTTP for everybody)',
  },
  {
    group: 'web',
    key: 'web.max_requests',
    flags: '--web.max-requests <number>',
    help: 'most requests answered at once, 0 for no limit (default 40)',
  },
  {
    group: 'instance',
    key: 'instance',
    flags: '--instance <name>',
    help: 'name of the tracing instance; a second agent needs one of its own (default ftrace-exporter)',
  },
  {
    group: 'tracefs',
    key: 'tracefs',
    flags: '--path.tracefs <dir>',
    help: 'where tracefs is mounted (default: found, or mounted at /sys/kernel/tracing)',
  },
  {
    group: 'state',
    key: 'state_dir',
    flags: '--state.dir <dir>',
    help: 'directory for what must outlive the process (default /run/ftrace-exporter)',
  },
  {
    group: 'reader',
    key: 'reader',
    flags: '--reader <reader>',
    help: 'how events are read: raw, or trace_pipe, the text of the kernel (default raw)',
  },
  {
    group: 'log',
    key: 'log.level',
    flags: '--log.level <level>',
    help: 'debug, info, warn or error (default info)',
  },
  {
    group: 'log',
    key: 'log.format',
    flags: '--log.format <format>',
    help: 'logfmt or json (default logfmt)',
  },
];

/** Adds the flags of some groups; `--config.file` always. */
export function addConfigOptions(command: Command, groups: readonly Group[]): Command {
  command.option('--config.file <file>', 'YAML file; flags and FTRACE_EXPORTER_* variables override it');
  if (groups.includes('probes')) {
    // Both flags collect into one list: later ones on the command line win.
    const collect = (on: boolean) => (name: string, before: ProbeSwitch[] | boolean | undefined) => [
      ...(Array.isArray(before) ? before : []),
      { name, on },
    ];
    command.addOption(
      new Option('--probe <name>', 'switch a probe on; can be given several times').argParser(collect(true)),
    );
    command.addOption(
      new Option('--no-probe <name>', 'switch a probe off; can be given several times').argParser(
        collect(false),
      ),
    );
  }
  for (const { group, flags, help } of KEY_FLAGS) {
    if (groups.includes(group)) command.option(flags, help);
  }
  return command;
}

/** The file of the config; undefined if it has none. */
export function configFileOf(command: Command): string | undefined {
  const file = (command.opts() as Record<string, unknown>)['config.file'];
  return typeof file === 'string' ? file : process.env[CONFIG_FILE] || undefined;
}

/** Makes the config from a command's flags, the environment and the file. Throws a `UsageError`. */
export function configOf(command: Command, options: { isRecorded?: boolean } = {}): AgentConfig {
  const parsed = command.opts() as Record<string, unknown>;
  const flags: Record<string, string> = {};
  for (const option of command.options) {
    const key = KEY_FLAGS.find(({ flags }) => flags === option.flags)?.key;
    const value = parsed[option.attributeName()];
    if (key !== undefined && typeof value === 'string') flags[key] = value;
  }
  const file = parsed['config.file'];
  const probes = Array.isArray(parsed.probe) ? (parsed.probe as ProbeSwitch[]) : [];
  return loadAgentConfig({
    file: typeof file === 'string' ? file : undefined,
    env: process.env,
    flags,
    probes,
    ...options,
  });
}
