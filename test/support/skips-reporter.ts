/** A reporter for the test runner. At the end it prints how many tests were skipped, which ones, and why. */
import type { TestEvent } from 'node:test/reporters';

export default async function* skips(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const skipped: string[] = [];
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.skip === undefined || data.skip === false) continue;
    const what = data.details.type === 'suite' ? 'all tests of ' : '';
    skipped.push(`  ${what}${data.name}: ${data.skip}`);
  }
  if (skipped.length > 0)
    yield `\nNOT TESTED HERE, ${skipped.length} tests or groups of tests:\n${skipped.join('\n')}\n`;
}
