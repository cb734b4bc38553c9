/** Adds flags for config keys to commands. Collects what the config is built from: these flags, environment and file. */
import { type Command, Option } from 'commander';
import type { ConfigSources } from '../config/load.ts';
import type { ProbeSwitch } from '../config/settings.ts';
import { CONFIG_FILE } from '../config/variables.ts';

type Group = 'instance' | 'tracefs' | 'probes' | 'web' | 'log' | 'reader' | 'state';

interface KeyFlag {
  group: Group;
  key: string;
  flags: string;
  help: string;
}

const KEY_FLAGS: readonly KeyFlag[] = [
  {
    group: 'web',
    key: 'web.listen_address',
    flags: '--web.listen-address <address>',
    help: 'address to serve on, as host:port (default :10743)',
  },
  {
    group: 'web',
    key: 'web.telemetry_path',
    flags: '--web.telemetry-path <path>',
    help: 'HTTP path of the metrics (default /metrics)',
  },
  {
    group: 'web',
    key: 'web.config_file',
    flags: '--web.config.file <file>',
    help: 'YAML file with TLS, users and rate limits, in the format of the Prometheus exporter-toolkit (default: plain HTTP without passwords)',
  },
  {
    group: 'web',
    key: 'web.max_requests',
    flags: '--web.max-requests <number>',
    help: 'maximum number of concurrent requests, 0 for no limit (default 40)',
  },
  {
    group: 'instance',
    key: 'instance',
    flags: '--instance <name>',
    help: 'name of the tracing instance; each agent on a machine needs a different one (default ftrace-exporter)',
  },
  {
    group: 'tracefs',
    key: 'tracefs',
    flags: '--path.tracefs <dir>',
    help: 'directory where tracefs is mounted (default: the existing mount; if there is none, the agent mounts tracefs at /sys/kernel/tracing)',
  },
  {
    group: 'state',
    key: 'state_dir',
    flags: '--state.dir <dir>',
    help: 'directory for the old contents of changed control files, to restore them even after a crash (default /run/ftrace-exporter)',
  },
  {
    group: 'reader',
    key: 'reader',
    flags: '--reader <reader>',
    help: 'how to read events: raw for binary pages, trace_pipe for text (default raw)',
  },
  {
    group: 'log',
    key: 'log.level',
    flags: '--log.level <level>',
    help: 'lowest level to log: debug, info, warn or error (default info)',
  },
  {
    group: 'log',
    key: 'log.format',
    flags: '--log.format <format>',
    help: 'format of log lines: logfmt or json (default logfmt)',
  },
];

/** Adds `--config.file` and the flags of the given groups to a command. */
export function addConfigOptions(command: Command, groups: readonly Group[]): Command {
  command.option('--config.file <file>', 'YAML file; flags and FTRACE_EXPORTER_* variables override it');
  if (groups.includes('probes')) {
    // `--probe` and `--no-probe` append to one list, so that the last flag for a probe wins.
    const collect = (on: boolean) => (name: string, before: ProbeSwitch[] | boolean | undefined) => [
      ...(Array.isArray(before) ? before : []),
      { name, on },
    ];
    command.addOption(
      new Option('--probe <name>', 'enable a probe; can be repeated').argParser(collect(true)),
    );
    command.addOption(
      new Option('--no-probe <name>', 'disable a probe; can be repeated').argParser(collect(false)),
    );
  }
  for (const { group, flags, help } of KEY_FLAGS) {
    if (groups.includes(group)) command.option(flags, help);
  }
  return command;
}

/** Returns the path of the config file from the flag or the environment, or undefined if neither is set. */
function configFileOf(command: Command): string | undefined {
  const file = (command.opts() as Record<string, unknown>)['config.file'];
  return typeof file === 'string' ? file : process.env[CONFIG_FILE] || undefined;
}

/** Returns the flags of a command, the environment, and the path of the config file. */
export function configSourcesOf(command: Command): ConfigSources {
  const parsed = command.opts() as Record<string, unknown>;
  const flags: Record<string, string> = {};
  for (const option of command.options) {
    const key = KEY_FLAGS.find(({ flags }) => flags === option.flags)?.key;
    const value = parsed[option.attributeName()];
    if (key !== undefined && typeof value === 'string') flags[key] = value;
  }
  const probes = Array.isArray(parsed.probe) ? (parsed.probe as ProbeSwitch[]) : [];
  return { file: configFileOf(command), env: process.env, flags, probes };
}
