/** Replays a file with some probes on. Returns the status and the exposition. */
import { loadAgentConfig } from '../../src/agent/main/compose-config.ts';
import { openReplay } from '../../src/agent/replay/replay.ts';
import { createRenderer } from '../../src/export/exposition/text.ts';
import { parseExposition } from './exposition.ts';

export interface Replayed {
  /** Sum of the samples of a name that have these labels; undefined if there are none. */
  sample(name: string, labels?: Record<string, string>): number | undefined;
  /** Like `sample`, but returns 0 if no sample has these labels. */
  value(name: string, labels?: Record<string, string>): number;
  /** The whole exposition, as text. */
  exposition: string;
  warnings: string[];
  /** Reasons of probes that are off, by probe. */
  off: Record<string, string>;
  up: string[];
  latency(tracer: string): { latencyNs: number; trace: string }[] | undefined;
}

/** If `probes` is empty, uses the default probes. `config` is a config file, for settings without a flag. */
export function replayed(file: string, probes: readonly string[] = [], config?: string): Replayed {
  const quiet = () => undefined;
  const loaded = loadAgentConfig({
    env: {},
    probes: probes.map((name) => ({ name, on: true })),
    isRecorded: true,
    ...(config === undefined ? {} : { file: config }),
  });
  const capture = openReplay(loaded, file, { log: { debug: quiet, info: quiet, warn: quiet, error: quiet } });
  const exposition = createRenderer({ constantLabels: {} })
    .render([capture.snapshot({})], 'text')
    .toString('utf8');
  const samples = parseExposition(exposition);
  const sample = (name: string, labels: Record<string, string> = {}) => {
    const chosen = samples
      .filter((each) => each.name === name)
      .filter((each) => Object.entries(labels).every(([label, is]) => each.labels[label] === is));
    return chosen.length === 0 ? undefined : chosen.reduce((sum, each) => sum + Number(each.value), 0);
  };
  const { warnings, probes: statuses } = capture.status();
  return {
    sample,
    value: (name, labels) => sample(name, labels) ?? 0,
    exposition,
    warnings,
    off: Object.fromEntries(statuses.flatMap(({ name, up, reason }) => (up ? [] : [[name, reason]]))),
    up: statuses.flatMap(({ name, up }) => (up ? [name] : [])),
    latency: (tracer) => capture.latency(tracer),
  };
}
