/**
 * Rules and alerts: promtool runs their tests, and a real Prometheus evaluates them with data of agents. Everything
 * that these agents serve must pass promtool's check of metrics.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { makeBench } from '../support/agent.ts';
import { skipWithout } from '../support/tools.ts';
import { type Fleet, RULES, startFleet } from './fleet.ts';
import { PROMETHEUS } from './go-program.ts';

const DEADLINE_MS = 40_000;
// Made outside the suite, so that the bench cleans up after the suite has stopped the fleet.
const bench = makeBench('rules');
const FILES = ['rules.yaml', 'alerts.yaml'];

interface RuleFile {
  groups: { rules: { record?: string; alert?: string; labels?: Record<string, string> }[] }[];
}

interface EvaluatedRule {
  name: string;
  health: string;
  lastError?: string;
}

const rules = FILES.flatMap((name) =>
  (parse(readFileSync(join(RULES, name), 'utf8')) as RuleFile).groups.flatMap((group) => group.rules),
);

function promtool(args: readonly string[], input?: string): string {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: RULES, encoding: 'utf8', input });
  assert.equal(status, 0, `promtool ${args.join(' ')}:\n${stdout}${stderr}`);
  return stdout + stderr;
}

describe('promtool', { skip: skipWithout('promtool', 'prometheus') }, () => {
  it('takes the config, the rules and the alerts', (t) => {
    t.diagnostic(promtool(['--version']).split('\n')[0]);
    promtool(['check', 'config', 'prometheus.yaml']);
    promtool(['check', 'rules', ...FILES]);
  });

  it('passes the tests of every rule and alert', () => {
    const files = readdirSync(join(RULES, 'tests'));
    promtool(['test', 'rules', ...files.map((file) => join('tests', file))]);
    const texts = files.map((file) => readFileSync(join(RULES, 'tests', file), 'utf8')).join();
    for (const { alert } of rules.filter((rule) => rule.alert !== undefined)) {
      for (const what of ['fires', 'is silent'])
        assert.ok(texts.includes(`${alert} ${what}: `), `no test that ${alert} ${what}`);
    }
  });

  it('finds a runbook for every alert', () => {
    const runbooks = new URL('../../docs/runbooks/', import.meta.url);
    const has = readdirSync(runbooks);
    const text = readFileSync(join(RULES, 'alerts.yaml'), 'utf8');
    const named = [...text.matchAll(/runbook_url: \S+\/docs\/runbooks\/(\S+)/g)].map(([, file]) => file);
    assert.equal(named.length, rules.filter((rule) => rule.alert !== undefined).length);
    for (const file of named) assert.ok(has.includes(file), file);
    for (const { alert } of rules.filter((rule) => rule.alert !== undefined)) {
      const pages = has.map((file) => readFileSync(new URL(file, runbooks), 'utf8'));
      assert.ok(
        pages.some((page) => page.includes(alert as string)),
        `no runbook names ${alert}`,
      );
    }
  });
});

describe(`rules in Prometheus ${PROMETHEUS.version.replace('v0.3', '3.')}`, () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet(bench);
  });
  after(() => fleet?.end());

  it('every recording rule gives series with numbers', async (t) => {
    const deadline = performance.now() + DEADLINE_MS;
    const recorded = rules.filter((rule) => rule.record !== undefined);
    const empty: string[] = [];
    let series = 0;
    for (const { record, labels = {} } of recorded) {
      const matchers = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
      const query = `${record}{${matchers.join()}}`;
      for (;;) {
        const result = await fleet.prometheus.query(query);
        const count = result.filter(({ value }) => Number.isFinite(Number(value?.[1]))).length;
        series += count;
        if (count > 0) break;
        if (performance.now() > deadline) {
          empty.push(query);
          break;
        }
        await sleep(500);
      }
    }
    t.diagnostic(`${recorded.length} recording rules gave ${series} series`);
    assert.deepEqual(empty, []);
  });

  it('every rule is evaluated without an error', async () => {
    const answer = await fetch(`${fleet.prometheus.url}/api/v1/rules`);
    const { data } = (await answer.json()) as { data: { groups: { rules: EvaluatedRule[] }[] } };
    const evaluated = data.groups.flatMap((group) => group.rules);
    assert.equal(evaluated.length, rules.length);
    for (const { name, health, lastError } of evaluated) assert.equal(health, 'ok', `${name}: ${lastError}`);
  });

  it('every query of the runbooks is one', async (t) => {
    const runbooks = new URL('../../docs/runbooks/', import.meta.url);
    let series = 0;
    for (const file of readdirSync(runbooks)) {
      const text = readFileSync(new URL(file, runbooks), 'utf8');
      const blocks = [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].filter(([, language]) => language === '');
      // An indented line continues the line before.
      const queries = blocks.flatMap(([, , block]) => block.trim().split(/\n(?! )/));
      if (file !== 'README.md') assert.ok(queries.length > 0, `${file} has no query`);
      for (const query of queries) {
        const everywhere = query.replaceAll('instance="NODE"', 'instance=~".+"');
        const results = await fleet.prometheus.query(everywhere);
        if (results.length === 0) t.diagnostic(`nothing now: ${file}: ${query}`);
        series += results.length;
      }
    }
    assert.ok(series > 0);
  });

  it('the alert of late timers fires for the kernel whose timers were late', async () => {
    const [firing] = await fleet.prometheus.query('ALERTS{alertname="FtraceTimerlatMaxHigh"}');
    assert.equal(firing?.metric.alertstate, 'firing');
    assert.equal(firing.metric.instance, 'recorded-timerlat');
    assert.deepEqual(await fleet.prometheus.query('ALERTS{alertname="FtraceExporterDown"}'), []);
  });

  it('promtool takes all that these agents serve', {
    skip: skipWithout('promtool', 'prometheus'),
  }, async () => {
    for (const agent of fleet.agents) {
      const output = promtool(['check', 'metrics'], (await agent.scrape()).text);
      // promtool may complain about metrics of Node and prom-client, whose names the agent does not choose.
      assert.doesNotMatch(output, /^ftrace_/m);
    }
  });
});
