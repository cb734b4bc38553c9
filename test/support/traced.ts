/** An agent that pushes its traces to a test, and programs in Python that give it something to trace. */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Agent, Bench, Config, LaunchOptions } from './agent.ts';
import { startHttpReceiver } from './otlp-receiver.ts';
import { decodeSpans, type ReceivedSpan } from './otlp-traces.ts';

export interface Traced {
  agent: Agent;
  /** All spans, a while after the expected ones have come. */
  settledSpans(areThere: (spans: ReceivedSpan[]) => boolean): Promise<ReceivedSpan[]>;
}

/** An agent that pushes its traces to this test. */
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
    // The test reports what does not come.
    for (const deadline = performance.now() + 30_000; performance.now() < deadline; await sleep(100))
      if (areThere(all())) break;
    // Traces are made once a second and sent a second later: one too many would have come by now.
    await sleep(2200);
    return all();
  };
  return { agent, settledSpans };
}

/** Runs a program in Python, which prints JSON. */
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
/** All spans below one, in any depth. */
export function allBelow(spans: readonly ReceivedSpan[], span: ReceivedSpan): ReceivedSpan[] {
  return childrenOf(spans, span).flatMap((child) => [child, ...allBelow(spans, child)]);
}
