/** The committed dashboards must be up to date, and have what every dashboard needs. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { dashboards, jsonOf } from '../../grafana/src/all.ts';
import { waitsByNature } from '../../src/spans/waiting-syscalls.ts';

const COMMITTED = new URL('../../grafana/dashboards/', import.meta.url);
const ALERTS = new URL('../../deploy/prometheus/alerts.yaml', import.meta.url);
const RULES = new URL('../../deploy/prometheus/rules.yaml', import.meta.url);

interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  targets?: { expr: string; refId: string; exemplar: boolean }[];
  fieldConfig?: {
    defaults: {
      unit?: string;
      noValue?: string;
      thresholds?: { steps: { value: number | null; color: string }[] };
    };
  };
}

interface Variable {
  name: string;
  type: string;
  multi?: boolean;
  includeAll?: boolean;
}

/** Panels with queries; the others contain text. */
const hasData = ({ type }: Panel) => type !== 'row' && type !== 'text';

const committed = readdirSync(COMMITTED).map((name) => ({
  name,
  text: readFileSync(new URL(name, COMMITTED), 'utf8'),
}));

test('the committed dashboards are those that npm run dashboards writes', () => {
  const made = dashboards().map((one) => ({ name: `${one.uid}.json`, text: jsonOf(one) }));
  assert.deepEqual(committed.map(({ name }) => name).sort(), made.map(({ name }) => name).sort());
  for (const { name, text } of made) {
    assert.ok(
      committed.find((one) => one.name === name)?.text === text,
      `grafana/dashboards/${name} is not what the source says: npm run generate`,
    );
  }
});

test('every panel has a description, a unit and exemplars; ids and uids are there once', () => {
  for (const { name, text } of committed) {
    const { uid, panels } = JSON.parse(text) as { uid: string; panels: Panel[] };
    assert.equal(`${uid}.json`, name);
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, name);
    for (const panel of panels.filter(({ type }) => type !== 'row'))
      assert.ok((panel.description ?? '').length > 10, `${name}: ${panel.title}`);
    for (const panel of panels.filter(hasData)) {
      const where = `${name}: ${panel.title}`;
      assert.ok(panel.fieldConfig?.defaults.unit, where);
      assert.ok((panel.targets ?? []).length > 0, where);
      for (const { exemplar, expr } of panel.targets ?? []) {
        assert.equal(exemplar, true, where);
        assert.match(expr, /cluster=~"\$cluster"/, where);
      }
    }
  }
});

test('every dashboard but Fleet shows one node at a time', () => {
  for (const { name, text } of committed) {
    const { templating } = JSON.parse(text) as { templating: { list: Variable[] } };
    const node = templating.list.find((variable) => variable.name === 'node');
    const isAll = node?.multi === true || node?.includeAll === true;
    assert.equal(isAll, name === 'ftrace-fleet.json', name);
  }
});

test('a variable acts on every panel of a row, or on none', () => {
  for (const { name, text } of committed) {
    const { panels, templating } = JSON.parse(text) as {
      panels: Panel[];
      templating: { list: Variable[] };
    };
    const choices = templating.list.filter(({ type }) => type === 'query');
    const rowOf = (panel: Panel) =>
      panels.slice(0, panels.indexOf(panel)).findLast(({ type }) => type === 'row')?.title ?? '';
    const rows = Map.groupBy(panels.filter(hasData), rowOf);
    for (const { name: choice } of choices.filter((one) => !['cluster', 'node'].includes(one.name))) {
      let acts = 0;
      for (const [title, inRow] of rows) {
        const acted = inRow.map((panel) =>
          (panel.targets ?? []).every(({ expr }) => expr.includes(`"$${choice}"`)),
        );
        assert.equal(new Set(acted).size, 1, `${name}: $${choice} acts on some panels of ${title}`);
        if (acted[0]) acts++;
        else if (choice === 'cpu') assert.match(title, /all CPUs/, name);
      }
      assert.ok(acts > 0, `${name}: $${choice} acts on nothing`);
    }
  }
});

test('an empty panel says what it needs, and colours are set explicitly', () => {
  for (const { name, text } of committed) {
    for (const panel of (JSON.parse(text) as { panels: Panel[] }).panels.filter(hasData)) {
      const { noValue, thresholds } = panel.fieldConfig?.defaults ?? {};
      assert.match(noValue ?? '', /^(No data: |None )/, `${name}: ${panel.title}`);
      const { expr } = panel.targets?.[0] ?? { expr: '' };
      if (/ftrace_(?!exporter)/.test(expr) && !expr.includes('le:'))
        assert.match(noValue ?? '', /probe|tracer|rules/, `${name}: ${panel.title}`);
      // If a panel has no thresholds of its own, Grafana shows values above 80 in red.
      if (panel.type !== 'heatmap')
        assert.match(thresholds?.steps[0].color ?? '', /^(green|red)$/, panel.title);
    }
  }
});

test('seconds per second have that unit, or are a share', () => {
  let rates = 0;
  for (const { name, text } of committed) {
    for (const { title, targets = [], fieldConfig } of (JSON.parse(text) as { panels: Panel[] }).panels) {
      const isRate = targets.some(
        ({ expr }) =>
          /rate\(\w+_seconds_(sum|total)\{|_seconds_sum:rate|wait_seconds:rate/.test(expr) &&
          !expr.includes(' / '),
      );
      if (!isRate) continue;
      rates++;
      assert.match(fieldConfig?.defaults.unit ?? '', /^(si:s\/s|percentunit)$/, `${name}: ${title}`);
    }
  }
  assert.ok(rates > 5, `${rates}`);
});

test('sizing.md sends on the metrics that Fleet and the alerts read', () => {
  const doc = readFileSync(new URL('../../docs/sizing.md', import.meta.url), 'utf8');
  const sent = /regex: "(.*)"\n\s+action: keep/.exec(doc)?.[1];
  assert.ok(sent);
  const isSent = new RegExp(`^(?:${sent})$`);
  const alerts = readFileSync(ALERTS, 'utf8');
  const fleet = committed.find(({ name }) => name === 'ftrace-fleet.json')?.text ?? '';
  const { panels } = JSON.parse(fleet) as { panels: Panel[] };
  const expressions = [
    ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...[...alerts.matchAll(/expr: (?:\|-\n)?((?:.*\n)(?: {10,}.*\n)*)/g)].map(([, expr]) => expr),
  ];
  const names = expressions.flatMap(
    (expr) =>
      expr
        .replaceAll(/"[^"]*"/g, '')
        .match(/\b(?:[a-z_]+:)?(?:ftrace|process|scrape)_[\w:]+|\bup\b|\bALERTS\b/g) ?? [],
  );
  assert.ok(names.length > 25, `${names.length} names`);
  assert.deepEqual(
    [...new Set(names)].filter((name) => !isSent.test(name)),
    [],
  );
});

test('every variable that a query uses is one of its dashboard', () => {
  const builtIn = new Set(['__rate_interval']);
  for (const { name, text } of committed) {
    const { templating } = JSON.parse(text) as { templating: { list: { name: string }[] } };
    const has = new Set(templating.list.map((variable) => variable.name));
    for (const [, used] of text.matchAll(/=~\\"\$(\w+)|\[\$(\w+)\]/g))
      assert.ok(used === undefined || has.has(used) || builtIn.has(used), `${name}: $${used}`);
  }
});

test('the rules exclude the syscalls that the agent counts as waiting', () => {
  const lists = [...readFileSync(RULES, 'utf8').matchAll(/syscall[=!]~"([^"]+)"/g)].map(([, list]) => list);
  assert.ok(lists.length >= 4 && new Set(lists).size === 1, 'the rules do not agree with each other');
  const source = readFileSync(new URL('../../src/spans/waiting-syscalls.ts', import.meta.url), 'utf8');
  const names = lists[0].split('|');
  for (const name of names) assert.ok(waitsByNature(name), `${name} is not in the agent's list`);
  const own = [...source.matchAll(/^ {2}'(\w+)',$/gm)].map(([, name]) => name);
  assert.deepEqual(names, own);
});
