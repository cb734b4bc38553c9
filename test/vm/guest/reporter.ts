/**
 * A reporter for node:test in the guest. It prints a line of JSON for every test that has ended, with the test's
 * diagnostics; suites have no lines of their own.
 */
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

export interface CheckResult {
  /** Names of the suites and the test. */
  name: string;
  ok: boolean;
  skipped?: boolean;
  tookMs: number;
  detail: string;
}

/** A figure that a check found, for people to read. */
export interface CheckNote {
  note: string;
}

export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const names: string[] = [];
  for await (const event of source) {
    if (event.type === 'test:start') {
      names.length = event.data.nesting;
      names.push(event.data.name);
      continue;
    }
    // Follows the test that it belongs to; diagnostics of the runner itself are totals.
    if (event.type === 'test:diagnostic' && event.data.nesting > 0)
      yield `${JSON.stringify({ note: event.data.message } satisfies CheckNote)}\n`;
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { nesting, name, details, skip } = event.data;
    const ok = event.type === 'test:pass';
    // A suite fails with its tests, which have their own lines. A suite that fails by itself gets one.
    if (details.type === 'suite' && (ok || /subtests? failed/.test(String(causeOf(event))))) continue;
    const result: CheckResult = {
      name: [...names.slice(0, nesting), name].join(' › '),
      ok,
      ...(skip !== undefined ? { skipped: true } : {}),
      tookMs: details.duration_ms,
      detail: ok ? '' : inspect(causeOf(event), { breakLength: 110 }).slice(0, 4000),
    };
    yield `${JSON.stringify(result)}\n`;
  }
}

function causeOf(event: Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>): unknown {
  const { details } = event.data;
  if (!('error' in details)) return '';
  const { error } = details;
  return (error as { cause?: unknown } | undefined)?.cause ?? error;
}
