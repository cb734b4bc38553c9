/** No function and no file of the sources may exceed its limit of lines. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { functionsIn, MAX_FILE_LINES, MAX_FUNCTION_LINES, tooLong } from '../style/lengths.ts';
import { assertNoAdvice } from '../support/advice.ts';

const ROOT = join(import.meta.dirname, '../..');

test('functions and files of the sources are short', () => {
  const files = globSync('src/**/*.ts', { cwd: ROOT });
  assert.ok(files.length > 300);
  assertNoAdvice(files.flatMap((file) => tooLong(file, readFileSync(join(ROOT, file), 'utf8'))));
});

const line = (count: number) => '  work();\n'.repeat(count);

test('names the function, its file, its line and its length', () => {
  const source = `// é\nfunction short() {}\n\nexport function long(): void {\n${line(MAX_FUNCTION_LINES)}}\n`;
  assert.deepEqual(tooLong('src/x.ts', source), [
    'src/x.ts:4: long has 102 lines, at most 100: give the jobs in it functions with names',
  ]);
  assert.deepEqual(tooLong('src/x.ts', source.replace(line(2), '')), []);
});

test('sees functions of every kind', () => {
  const source = `
const arrow = () => {};
const table = { method() {}, key: () => {}, get value() { return 1; } };
class Thing {
  constructor() {}
  visible(): void {}
  #hidden(): void {}
  static handler = () => {};
}
export default function named() { function inner() {} }
`;
  assert.deepEqual(
    functionsIn(source).map(({ name }) => name),
    ['arrow', 'method', 'key', 'value', 'constructor', 'visible', 'hidden', 'handler', 'named', 'inner'],
  );
});

test('only files are bounded in the text reader', () => {
  const source = `function loop() {\n${line(MAX_FUNCTION_LINES)}}\n`;
  assert.deepEqual(tooLong('src/decode/text/x.ts', source), []);
  assert.deepEqual(tooLong('src/decode/text/x.ts', '\n'.repeat(MAX_FILE_LINES + 1)), [
    'src/decode/text/x.ts has 401 lines, at most 400: move a part with a name of its own to another file',
  ]);
});
