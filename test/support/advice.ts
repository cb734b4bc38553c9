/** For tests that compare docs with the code: a failure shows one line per finding, never whole files. */
import assert from 'node:assert/strict';

/** Each line names the file and says what to write there. */
export function assertNoAdvice(advice: readonly string[]): void {
  if (advice.length > 0) assert.fail(advice.join('\n'));
}
