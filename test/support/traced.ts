/** Starts an agent that pushes its traces to the test, and runs Python programs that it traces. */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Agent, Bench, Config, LaunchOptions } from './agent.ts';
import { startHttpReceiver } from './otlp-receiver.ts';
import { decodeSpans, type ReceivedSpan } from './otlp-traces.ts';

export interface Traced {
  agent: Agent;
  /**
   * Waits until `areThere` returns true, but at most 30 s, and then another 2.2 s, in which surplus spans would arrive.
   * Returns all spans.
   */
  settledSpans(areThere: (spans: ReceivedSpan[]) => boolean): Promise<ReceivedSpan[]>;
}

/** Starts an agent that pushes its traces to this test. */
export async function startTraced(
  bench: Bench,
  spans: object,
  more: Config = {},
  how: LaunchOptions = {},
): Promise<Traced> {
  const receiver = await startHttpReceiver();
  bench.atEnd(() => void receiver.close());
  const agent = await bench.start(
    {
      spans: { max_traces_per_second: 10_000, ...spans },
      otlp: { endpoint: receiver.url, metrics: false },
      ...more,
    },
    how,
  );
  const all = () => receiver.received.flatMap(({ body }) => decodeSpans(body).spans);
  const settledSpans = async (areThere: (spans: ReceivedSpan[]) => boolean) => {
    // Does not fail after this time: the test reports which spans are missing.
    for (const deadline = performance.now() + 30_000; performance.now() < deadline; await sleep(100))
      if (areThere(all())) break;
    // The agent makes traces once a second and sends them a second later, so surplus spans arrive in this time.
    await sleep(2200);
    return all();
  };
  return { agent, settledSpans };
}

/** Runs a Python program. Returns its output, which must be JSON. */
export async function python<T>(
  script: string,
  args: readonly string[] = [],
  wrapper: readonly string[] = [],
): Promise<T> {
  const [program, ...rest] = [...wrapper, 'python3', '-c', script, ...args];
  return JSON.parse((await promisify(execFile)(program, rest)).stdout) as T;
}

export const threadOf = ({ attributes }: ReceivedSpan) => attributes['ftrace.thread.id'];
export const rootsOf = (spans: readonly ReceivedSpan[], pid: number, name: string) =>
  spans
    .filter((span) => span.parentSpanId === '' && span.name === name && threadOf(span) === pid)
    .sort((a, b) => (a.start < b.start ? -1 : 1));
export const childrenOf = (spans: readonly ReceivedSpan[], root: ReceivedSpan) =>
  spans.filter(({ traceId, parentSpanId }) => traceId === root.traceId && parentSpanId === root.spanId);
/** All descendants of a span. */
export function allBelow(spans: readonly ReceivedSpan[], span: ReceivedSpan): ReceivedSpan[] {
  return childrenOf(spans, span).flatMap((child) => [child, ...allBelow(spans, child)]);
}
