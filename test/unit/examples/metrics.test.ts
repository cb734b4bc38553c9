/** The examples of declared metrics must be valid configs, and the kernel must have their events and fields. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { enabledProbes } from '../../../src/agent/plan/enabled-probes.ts';
import { planEvents } from '../../../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { METRICS_PREFIX } from '../../../src/model/declared-metric.ts';
import { NAMELESS } from '../../../src/model/function-names.ts';
import { fakeHost, knownEvents } from '../probes/records.ts';

const DIRECTORY = new URL('../../../examples/metrics/', import.meta.url).pathname;
const FORMATS = new URL('../../fixtures/formats-6.18/', import.meta.url).pathname;
const files = readdirSync(DIRECTORY).filter((name) => name.endsWith('.yaml'));

/** Status of the metrics of a file on Linux 6.18. */
function statuses(name: string) {
  const config = loadAgentConfig({ file: join(DIRECTORY, name), env: {} });
  const store = new MetricStore();
  return planEvents({
    enabled: enabledProbes(config).filter(({ module }) => module.name.startsWith(METRICS_PREFIX)),
    metadata: {
      ...{ clock: 'mono', machine: 'x86_64', kernelRelease: '', cpuCount: 1 },
      events: () => knownEvents(),
      formatText: (event) => {
        const file = join(FORMATS, event.replace(':', '/'));
        return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
      },
    },
    host: fakeHost,
    onlineCpus: [0],
    store,
    self: makeSelfMetrics(store),
    isSelf: () => false,
    functions: () => NAMELESS,
  }).probes;
}

test('there are enough', () => assert.ok(files.length >= 15));

for (const name of files) {
  test(`${name}: its events and fields exist`, () => {
    const text = readFileSync(join(DIRECTORY, name), 'utf8');
    const all = statuses(name);
    assert.ok(all.length > 0);
    for (const { name: metric, up, reason } of all) {
      // Kprobes and uprobes that the agent defines exist only while it is running.
      if (/[ku](ret)?probe:/.test(text)) assert.match(reason, /has no event ftx_/, metric);
      else assert.ok(up, `${metric}: ${reason}`);
    }
  });
}

test('the list of examples names all of them', () => {
  const list = readFileSync(join(DIRECTORY, 'README.md'), 'utf8');
  assert.deepEqual(
    files.filter((name) => !list.includes(`[${name}](${name})`)),
    [],
  );
});
