/** The end of an agent whose backend accepts connections and never answers, with the time limits that are the default. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { openOutputs } from '../../../src/cli/outputs.ts';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { quiet } from '../../support/http-deps.ts';
import { startHttpReceiver } from '../../support/otlp-receiver.ts';
import { traceOf } from '../../support/otlp-traces.ts';

const directory = mkdtempSync(join(tmpdir(), 'ftx-outputs-'));
after(() => rmSync(directory, { recursive: true }));

test('a backend that hangs for metrics and traces delays the end by less than 8 s in all', async () => {
  const receiver = await startHttpReceiver();
  receiver.answer = 'hang';
  const file = join(directory, 'config.yaml');
  const kinds = { syscalls: { threshold: '1ms' } };
  writeFileSync(file, JSON.stringify({ otlp: { endpoint: receiver.url }, spans: { kinds } }));
  const store = new MetricStore({ countsSeries: false });
  const outputs = await openOutputs(loadAgentConfig({ file, env: {} }), { log: quiet, version: '1', store });
  try {
    outputs.start({
      scrape: async () => [store.snapshot()],
      processMetrics: async () => [],
      constantLabels: {},
      startMs: Date.now(),
    });
    // One trace waits for an answer, and one in the queue.
    outputs.take([traceOf()]);
    await receiver.request(0);
    outputs.take([traceOf()]);
    const beganMs = performance.now();
    await outputs.collectLast();
    await outputs.stop();
    const tookMs = performance.now() - beganMs;
    const paths = new Set(receiver.received.map(({ path }) => path));
    assert.deepEqual([...paths].sort(), ['/v1/metrics', '/v1/traces']);
    assert.ok(tookMs < 8000, `it took ${tookMs} ms`);
    const text = createRenderer().render([store.snapshot()], 'text').toString();
    assert.match(text, /^ftrace_exporter_traces_total\{kind="syscalls",outcome="failed"\} 2$/m);
  } finally {
    await receiver.close();
  }
});
