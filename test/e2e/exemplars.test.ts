/**
 * Exemplars of a live agent in a current Prometheus: its API must show what the agent serves, as text and as protobuf.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBench, needTool } from '../support/agent.ts';
import { startPrometheus } from '../support/prometheus.ts';
import { goProgram, PROMETHEUS } from './go-program.ts';

const bench = makeBench('exemplars');
const NAME = 'ftrace_syscall_duration_seconds';

interface Found {
  traceId: string;
  spanId: string;
  value: number;
  /** Milliseconds since 1970. */
  atMs: number;
}

const byTrace = (a: Found, b: Found) => (a.traceId < b.traceId ? -1 : 1);

test('exemplars of slow syscalls, by every format that has them', async () => {
  needTool('python3', 'python3');
  // Hardly any other program makes this call.
  const include = ['rt_sigtimedwait'];
  const agent = await bench.start({
    probes: { syscalls: { include } },
    spans: { max_traces_per_second: 1000, kinds: { syscalls: { threshold: '1ms', include } } },
  });
  const job = (name: string, options: object = {}) => ({
    job_name: name,
    static_configs: [{ targets: [new URL(agent.url).host] }],
    ...options,
  });
  const prometheus = await startPrometheus(
    bench,
    goProgram(PROMETHEUS),
    [
      job('openmetrics', { scrape_protocols: ['OpenMetricsText1.0.0'] }),
      job('protobuf', { scrape_protocols: ['PrometheusProto'] }),
      job('native', { scrape_native_histograms: true }),
      job('text', { scrape_protocols: ['PrometheusText0.0.4'] }),
    ],
    ['--enable-feature=exemplar-storage'],
  );
  execFileSync('python3', [
    '-c',
    'import signal\nfor ms in 2, 15, 60, 250: signal.sigtimedwait([], ms / 1000)',
  ]);

  const own = async (): Promise<Found[]> => {
    const answer = await fetch(`${agent.url}/metrics`, {
      headers: { accept: 'application/openmetrics-text' },
    });
    const line = / # \{trace_id="(\w+)",span_id="(\w+)"\} (\S+) (\S+)$/;
    return (await answer.text())
      .split('\n')
      .filter((text) => text.startsWith(`${NAME}_bucket`))
      .flatMap((text) => {
        const match = line.exec(text);
        if (match === null) return [];
        const [, traceId, spanId, value, at] = match;
        return [{ traceId, spanId, value: Number(value), atMs: Math.round(Number(at) * 1000) }];
      })
      .sort(byTrace);
  };
  const stored = async (promql: string): Promise<Found[]> => {
    const query = new URLSearchParams({
      query: promql,
      start: String(Date.now() / 1000 - 3600),
      end: String(Date.now() / 1000 + 60),
    });
    const answer = await fetch(`${prometheus.url}/api/v1/query_exemplars?${query}`);
    const { data } = (await answer.json()) as {
      data: { exemplars: { labels: Record<string, string>; value: string; timestamp: number }[] }[];
    };
    return data
      .flatMap(({ exemplars }) => exemplars)
      .map(({ labels, value, timestamp }) => ({
        traceId: labels.trace_id,
        spanId: labels.span_id,
        value: Number(value),
        atMs: Math.round(timestamp * 1000),
      }))
      .sort(byTrace);
  };

  // If two reads give the same, Prometheus must have stored the same at the scrape between them.
  for (let attempt = 1; ; attempt++) {
    const before = await own();
    await prometheus.scraped('openmetrics', 'protobuf', 'native', 'text');
    const after = await own();
    if (before.length < 3 || JSON.stringify(before) !== JSON.stringify(after)) {
      assert.ok(attempt < 40, `the agent did not come to rest: ${before.length} exemplars`);
      await sleep(100);
      continue;
    }
    const holds = (all: readonly Found[], what: string) => {
      for (const one of after)
        assert.ok(
          all.some((other) => JSON.stringify(other) === JSON.stringify(one)),
          what,
        );
    };
    holds(await stored(`${NAME}_bucket{job="openmetrics"}`), 'text');
    holds(await stored(`${NAME}_bucket{job="protobuf"}`), 'protobuf, classic');
    const native = await stored(`${NAME}{job="native"}`);
    assert.ok(native.length > 0);
    assert.deepEqual(await stored(`{job="text"}`), []);
    break;
  }
  assert.equal(await agent.stop(), 0, agent.stderr());
});
