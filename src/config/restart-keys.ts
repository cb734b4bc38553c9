/** Lists the config keys that a reload cannot change. Finds which of these keys differ between two configs. */
import { isDeepStrictEqual } from 'node:util';
import type { AgentConfig } from './schema.ts';

type Part = (config: AgentConfig) => unknown;

/** For each field of the config: the keys that a reload cannot change, each with a function that returns its value. */
const FIXED: Readonly<Record<keyof AgentConfig, Readonly<Record<string, Part>>>> = {
  instance: { instance: ({ instance }) => instance },
  reader: { reader: ({ reader }) => reader },
  buffer: { buffer: ({ buffer }) => buffer },
  maxWindowMs: { max_window: ({ maxWindowMs }) => maxWindowMs },
  tracefsPath: { tracefs: ({ tracefsPath }) => tracefsPath },
  recordingNs: { recording_cost: ({ recordingNs }) => recordingNs },
  stateDir: { state_dir: ({ stateDir }) => stateDir },
  web: {
    'web.listen_address': ({ web }) => web.listenAddress,
    'web.telemetry_path': ({ web }) => web.telemetryPath,
    'web.config_file': ({ web }) => web.configFile,
    'web.max_requests': ({ web }) => web.maxRequests,
  },
  history: { history: ({ history }) => history },
  log: { 'log.format': ({ log }) => log.format },
  spans: { 'spans.top_level_markers': ({ spans }) => spans?.topLevelMarkers ?? false },
  containers: {},
  drainIntervalMs: {},
  budget: {},
  probes: {},
  disabled: {},
  otlp: {},
};

/** Returns the keys that make a reload from `before` to `next` impossible. Empty if the reload is possible. */
export function restartKeys(before: AgentConfig, next: AgentConfig): string[] {
  const differs = (part: Part) => !isDeepStrictEqual(part(before), part(next));
  const fixed = Object.values(FIXED).flatMap(Object.entries<Part>);
  return [
    ...fixed.flatMap(([key, part]) => (differs(part) ? [key] : [])),
    // A reload can add or remove the table of containers, but cannot change the options of an existing table.
    ...(before.containers && next.containers && differs(({ containers }) => containers)
      ? ['containers']
      : []),
    ...(before.spans?.topLevelMarkers && differs(({ spans }) => spans)
      ? ['spans (because spans.top_level_markers is on)']
      : []),
    // The probes cannot change, because unread text of `trace_pipe` may contain events of the old probes.
    ...(before.reader === 'trace_pipe' && differs(({ probes, spans }) => [probes, spans])
      ? ['probes, metrics or spans (because reader is trace_pipe)']
      : []),
  ];
}
