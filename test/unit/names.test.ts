/** Variables must have nouns as names. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { namesWithoutNoun } from '../style/names.ts';
import { assertNoAdvice } from '../support/advice.ts';

const ROOT = join(import.meta.dirname, '../..');

test('variables have nouns as names', () => {
  const files = globSync('{src,test,bench,grafana,helm,docs,examples}/**/*.ts', { cwd: ROOT });
  assert.ok(files.length > 700, `${files.length} files`);
  assertNoAdvice(files.flatMap((file) => namesWithoutNoun(file, readFileSync(join(ROOT, file), 'utf8'))));
});

test('finds variables, parameters and what patterns bind, but neither properties nor types', () => {
  const source = `
const left = 1;
function f(of: number, { given, key: [kept] }: { known: boolean }) {}
const asArrow = (told = found) => told.known;
for (const [known] of rows);
try {} catch (said) {}
const { found: match, of: kind } = { found: 1, of: left };
`;
  assert.deepEqual(
    namesWithoutNoun('src/x.ts', source).map((finding) => finding.replace(/: rename .*"(.+)".*/, ' $1')),
    ['2 left', '3 of', '3 given', '3 kept', '4 told', '5 known', '6 said'].map(
      (place) => `src/x.ts:${place}`,
    ),
  );
  assert.match(
    namesWithoutNoun('src/x.ts', source)[0],
    /rename the variable "left" to a noun that says what/,
  );
});
