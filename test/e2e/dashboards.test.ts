/**
 * Runs every query of every panel, and every variable, of the dashboards in a real Prometheus. Each must return series
 * with numbers, from the agent on this kernel or from what another kernel's tracers wrote.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBench } from '../support/agent.ts';
import { type Fleet, RECORDED_PROBES, startFleet } from './fleet.ts';
import { PROMETHEUS } from './go-program.ts';

const DASHBOARDS = new URL('../../grafana/dashboards/', import.meta.url);
const DEADLINE_MS = 40_000;
/** Panels whose data the fleet cannot produce, and why. */
const NOT_HERE: Readonly<Record<string, string>> = {
  'Writers throttled, p99': 'nobody writes faster than the disk for long enough',
  Retransmits: 'the loopback device loses no packet',
  'Journal commits, p99': 'the temporary directory may have no ext4',
  'NFS requests, p99': 'no NFS is mounted',
  'NVMe commands, p99': 'there may be no NVMe disk',
  'Exits of guests, p99': 'no guest runs in KVM',
};
// Made outside the suite, so that the bench cleans up after the suite has stopped the fleet.
const bench = makeBench('dashboards');

interface Dashboard {
  uid: string;
  panels: { type: string; title: string; targets?: { expr: string }[] }[];
  templating: { list: { name: string; type: string; query: string | { query: string } }[] };
}

const dashboards = readdirSync(DASHBOARDS).map(
  (name) => JSON.parse(readFileSync(new URL(name, DASHBOARDS), 'utf8')) as Dashboard,
);

/** Fills in variables as Grafana does when a dashboard shows everything. */
const filledIn = (expr: string) => expr.replaceAll('$__rate_interval', '5m').replaceAll(/"\$\w+"/g, '".*"');

describe(`dashboards in Prometheus ${PROMETHEUS.version.replace('v0.3', '3.')}`, () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet(bench);
  });
  after(() => fleet?.end());

  /** Number of series with a finite value that a query returns. Waits until there is one, or until the deadline. */
  async function seriesOf(expr: string, deadline: number): Promise<number> {
    for (;;) {
      const result = await fleet.prometheus.query(filledIn(expr));
      const numbers = result.filter(({ value }) => Number.isFinite(Number(value?.[1])));
      if (numbers.length > 0 || performance.now() > deadline) return numbers.length;
      await sleep(500);
    }
  }

  it('the heatmap of waits for a CPU has exemplars with the id of a trace', async () => {
    const node = dashboards.find(({ uid }) => uid === 'ftrace-node');
    const heatmap = node?.panels.find(({ type }) => type === 'heatmap');
    const parameters = new URLSearchParams({
      query: filledIn(heatmap?.targets?.[0].expr ?? ''),
      start: String(Date.now() / 1000 - 300),
      end: String(Date.now() / 1000 + 1),
    });
    const answer = await fetch(`${fleet.prometheus.url}/api/v1/query_exemplars?${parameters}`);
    const { data } = (await answer.json()) as { data: { exemplars: { labels: Record<string, string> }[] }[] };
    const [first] = data.flatMap(({ exemplars }) => exemplars);
    assert.match(first?.labels.trace_id ?? '', /^[0-9a-f]{32}$/);
  });

  for (const { uid, panels, templating } of dashboards) {
    it(`${uid}: every panel has data`, async (t) => {
      if (uid === 'ftrace-realtime' || uid === 'ftrace-functions')
        t.diagnostic(`NOT OF THIS KERNEL, but of recordings made on 6.12-rt: ${RECORDED_PROBES.join(', ')}`);
      const deadline = performance.now() + DEADLINE_MS;
      const empty: string[] = [];
      let queries = 0;
      let series = 0;
      for (const { title, targets = [] } of panels) {
        for (const { expr } of targets) {
          queries++;
          const isNotHere = uid === 'ftrace-kernel' && title in NOT_HERE;
          const count = await seriesOf(expr, isNotHere ? 0 : deadline);
          series += count;
          if (count > 0) continue;
          if (isNotHere) t.diagnostic(`NO DATA HERE: ${title}: ${NOT_HERE[title]}`);
          else empty.push(`${title}: ${filledIn(expr)}`);
        }
      }
      t.diagnostic(`${queries} queries gave ${series} series`);
      assert.deepEqual(empty, []);
    });

    it(`${uid}: every variable has choices`, async () => {
      for (const { name, type, query } of templating.list.filter((variable) => variable.type === 'query')) {
        const text = typeof query === 'string' ? query : query.query;
        const [, selector, label] = /^label_values\((.*), (\w+)\)$/s.exec(text) ?? [];
        assert.ok(selector !== undefined, `${name} (${type}): ${text}`);
        const parameters = new URLSearchParams({ 'match[]': filledIn(selector) });
        const answer = await fetch(`${fleet.prometheus.url}/api/v1/label/${label}/values?${parameters}`);
        const { status, data } = (await answer.json()) as { status: string; data: string[] };
        assert.equal(status, 'success', text);
        assert.ok(data.length > 0, `${name}: ${text} has no values`);
      }
    });
  }
});
