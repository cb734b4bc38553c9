/** Fails tests that compare docs with the code. The message has one line per finding instead of whole files. */
import assert from 'node:assert/strict';

/** Each line names the file and says what to write there. */
export function assertNoAdvice(advice: readonly string[]): void {
  if (advice.length > 0) assert.fail(advice.join('\n'));
}
