/**
 * Measures the cost of each panel: the number of series that its queries touch, and the number that they return.
 * Simulates a few nodes with 64 CPUs and ten disks each. The cost on a fleet of 2,000 nodes follows from the cost per
 * node.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBench } from '../support/agent.ts';
import { scrapeOfLargeNode } from '../support/large-node.ts';
import { feedNode } from '../support/node-size.ts';
import { type Prometheus, startPrometheus } from '../support/prometheus.ts';
import { JOB, RULES } from './fleet.ts';
import { goProgram, PROMETHEUS } from './go-program.ts';

const DASHBOARDS = new URL('../../grafana/dashboards/', import.meta.url);
const NODES = 4;
const CPUS = 64;
const FLEET = 2000;
/**
 * Probes that are off by default, all on every CPU. Such a node has some 33,000 series; one with the defaults has
 * 2,440.
 */
const MORE_PROBES = ['syscalls', 'events', 'function', 'function_graph', 'osnoise', 'timerlat', 'hwlat'];
/** Maximum number of series that a panel may touch, by board: of the chosen node or, on the board Fleet, per node. */
const MOST_TOUCHED: Readonly<Record<string, number>> = {
  'ftrace-agent': 200,
  // 200 containers, each with its interference that is not among the 100 largest pairs.
  'ftrace-containers': 1000,
  'ftrace-kernel': 4000,
  // 40,000 series on 2,000 nodes: two operations for each of ten disks.
  'ftrace-fleet': 20,
  // A histogram of ten functions on each CPU.
  'ftrace-functions': 16_000,
  // Soft interrupts: seven vectors on each CPU, for the mean and for the maximum.
  'ftrace-node': 1000,
  // A histogram of four sources, or of three contexts, on each CPU.
  'ftrace-realtime': 3500,
};
/** The most lines, bars or buckets in a panel: two contexts of each CPU, of which the user chooses one. */
const MOST_RETURNED = 2 * CPUS;
/** One rule of each group, because groups are evaluated at different times. */
const LAST_RULES = [
  'instance_handler:ftrace_irq_duration_seconds:p99_rate5m',
  'instance:ftrace_softirq_seconds:ratio_rate5m',
  'instance_syscall:ftrace_syscall_duration_seconds:p99_rate5m',
  'instance_cpu:ftrace_osnoise_hardware:ratio_rate5m',
  'instance:ftrace_exporter_series:sum',
];
const DEADLINE_MS = 60_000;
const bench = makeBench('cost');

interface Panel {
  title: string;
  targets?: { expr: string }[];
}

const boards = readdirSync(DASHBOARDS).map(
  (name) => JSON.parse(readFileSync(new URL(name, DASHBOARDS), 'utf8')) as { uid: string; panels: Panel[] },
);

describe(`queries of dashboards on ${NODES} nodes of ${CPUS} CPUs`, () => {
  let prometheus: Prometheus;

  before(async () => {
    const text = await scrapeOfLargeNode(true, (store) => feedNode(store, MORE_PROBES, CPUS));
    const server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    bench.atEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const static_configs = Array.from({ length: NODES }, (_, node) => ({
      targets: [`127.0.0.1:${address.port}`],
      labels: { cluster: 'simulated', instance: `node-${node}` },
    }));
    prometheus = await startPrometheus(
      bench,
      goProgram(PROMETHEUS),
      [{ job_name: JOB, static_configs }],
      [],
      {
        global: { scrape_interval: '5s', evaluation_interval: '5s' },
        rule_files: [join(RULES, 'rules.yaml'), join(RULES, 'alerts.yaml')],
      },
    );
    // Rates need two scrapes, and recording rules need time to evaluate them.
    const deadline = performance.now() + DEADLINE_MS;
    for (const rule of LAST_RULES) {
      while ((await count(rule)) === 0) {
        assert.ok(performance.now() < deadline, `${rule} gives nothing`);
        await sleep(500);
      }
    }
  });

  const count = async (query: string): Promise<number> =>
    Number((await prometheus.query(`count(${query})`))[0]?.value?.[1] ?? 0);

  /** Series that the selectors of an expression match. A series that is read twice counts twice. */
  async function touchedBy(expr: string): Promise<number> {
    const selectors = expr.match(/[a-zA-Z_:][\w:]*\{[^}]*\}|(?<![\w:])\{[^}]*\}/g) ?? [];
    assert.ok(selectors.length > 0, expr);
    let touched = 0;
    for (const selector of selectors) touched += await count(selector);
    return touched;
  }

  for (const { uid, panels } of boards) {
    it(uid, async (t) => {
      const isFleet = uid === 'ftrace-fleet';
      const node = isFleet ? '.*' : 'node-1';
      const filledIn = (expr: string) =>
        expr
          .replaceAll('$__rate_interval', '1m')
          .replaceAll('"$node"', `"${node}"`)
          .replaceAll(/"\$\w+"/g, '".*"');
      let dearest = { title: '', touched: 0, returned: 0 };
      for (const { title, targets = [] } of panels) {
        let touched = 0;
        let returned = 0;
        for (const { expr } of targets) {
          touched += await touchedBy(filledIn(expr));
          returned += (await prometheus.query(filledIn(expr))).length;
        }
        if (touched > dearest.touched) dearest = { title, touched, returned };
        const ofNode = isFleet ? touched / NODES : touched;
        assert.ok(ofNode <= MOST_TOUCHED[uid], `${title} touches ${ofNode} series of a node`);
        assert.ok(returned <= MOST_RETURNED, `${title} gives ${returned} series`);
      }
      const { title, touched, returned } = dearest;
      const onFleet = isFleet ? Math.round((touched / NODES) * FLEET) : touched;
      t.diagnostic(
        `dearest: ${title}: touches ${touched} series, gives ${returned}; ${onFleet} on ${FLEET} nodes`,
      );
    });
  }

  it('would be seen if a dashboard read all nodes', async () => {
    const one = await touchedBy('rate(ftrace_sched_switches_total{instance=~"node-1"}[1m])');
    const all = await touchedBy('rate(ftrace_sched_switches_total{instance=~".*"}[1m])');
    assert.deepEqual([one, all], [CPUS * 2, CPUS * 2 * NODES]);
  });
});
