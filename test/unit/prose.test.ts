/** The check of prose must find its patterns and accept plain English. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findingsIn, RULES } from '../style/prose.ts';

const CLIPPED: [text: string, advice: RegExp][] = [
  ['// The capture starts anew.', /again/],
  ['/** Whoever comes late waits. */', /name the task/],
  ['/**\n * The table. Who has no slot\n * waits.\n */', /A caller that/],
  ['// It waits, for it has no page.', /because/],
  ['/** Read at the start alone. */', /only/],
  ['// Nobody is told\n// of it.', /reports/],
  ['/** A buffer of ours. */', /our/],
  ['// Names are not to be had here.', /available/],
  ['/** Pages enter, events leave. */', /subject, verb/],
  ['// One cursor a CPU.', /per/],
];

for (const [text, advice] of CLIPPED) {
  test(`finds ${JSON.stringify(text)}`, () => {
    const findings = findingsIn(text);
    assert.equal(findings.length, 1, JSON.stringify(findings));
    assert.match(findings[0].advice, advice);
  });
}

test('every rule has an example', () => {
  const covered = new Set(CLIPPED.flatMap(([text]) => findingsIn(text).map(({ advice }) => advice)));
  assert.deepEqual(
    RULES.map(({ advice }) => advice).filter((advice) => !covered.has(advice)),
    [],
  );
});

test('gives the line', () => {
  assert.equal(findingsIn('One.\n\nTwo, and it\nstarts anew.')[0].line, 4);
});

test('accepts plain English', () => {
  for (const text of [
    'The sentence must stand alone.',
    'Somebody else traces, so leave it alone.',
    'Who wants to know?',
    'Room for one page of events.',
    'Values are counted per CPU, twice a second.',
    'Look for it in the log.',
  ])
    assert.deepEqual(findingsIn(text), [], text);
});
