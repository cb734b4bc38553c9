/** The dashboards as they are committed: what the program makes, and what every one of them must have. */
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
  fieldConfig?: { defaults: { unit?: string } };
}

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
      `grafana/dashboards/${name} is not what the source says: npm run dashboards`,
    );
  }
});

test('every panel has a description, a unit and exemplars; ids and uids are there once', () => {
  for (const { name, text } of committed) {
    const { uid, panels } = JSON.parse(text) as { uid: string; panels: Panel[] };
    assert.equal(`${uid}.json`, name);
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, name);
    for (const panel of panels.filter(({ type }) => type !== 'row')) {
      const where = `${name}: ${panel.title}`;
      assert.ok((panel.description ?? '').length > 10, where);
      assert.ok(panel.fieldConfig?.defaults.unit, where);
      assert.ok((panel.targets ?? []).length > 0, where);
      for (const { exemplar, expr } of panel.targets ?? []) {
        assert.equal(exemplar, true, where);
        assert.match(expr, /cluster=~"\$cluster"/, where);
      }
    }
  }
});

test('what Fleet and the alerts read is what sizing.md sends on', () => {
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
  const known = new Set(['__rate_interval']);
  for (const { name, text } of committed) {
    const { templating } = JSON.parse(text) as { templating: { list: { name: string }[] } };
    const has = new Set(templating.list.map((variable) => variable.name));
    for (const [, used] of text.matchAll(/=~\\"\$(\w+)|\[\$(\w+)\]/g))
      assert.ok(used === undefined || has.has(used) || known.has(used), `${name}: $${used}`);
  }
});

test('the rules set apart the syscalls that the agent takes for waiting', () => {
  const lists = [...readFileSync(RULES, 'utf8').matchAll(/syscall[=!]~"([^"]+)"/g)].map(([, list]) => list);
  assert.ok(lists.length >= 4 && new Set(lists).size === 1, 'the rules do not agree with each other');
  const source = readFileSync(new URL('../../src/spans/waiting-syscalls.ts', import.meta.url), 'utf8');
  const names = lists[0].split('|');
  for (const name of names) assert.ok(waitsByNature(name), `${name} is not in the agent's list`);
  const own = [...source.matchAll(/^ {2}'(\w+)',$/gm)].map(([, name]) => name);
  assert.deepEqual(names, own);
});
