/**
 * A backend of traces that is as bad as it can be, in turns, for minutes, at full budget: `node
 * test/limits/trace-backend.ts [SECONDS]` (600). Fails unless memory stays flat and every span ends in an outcome.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { makeOtlpMetrics } from '../../src/agent/otlp-metrics.ts';
import { makeTraces } from '../../src/agent/traces.ts';
import { openTracePush, type TracePush } from '../../src/export/otlp-traces.ts';
import { type HttpAnswer, type Receiver, startHttpReceiver } from '../support/otlp-receiver.ts';
import { decodeSpans, traceOf } from '../support/otlp-traces.ts';

const SECONDS = Number(process.argv[2] ?? 600);
const TRACES_A_SECOND = 50;
const SPANS_A_TRACE = 100;
/** What memory may grow by, from the second round of the phases on. */
const GROWTH_BYTES = 16 << 20;

const PHASES: (HttpAnswer | 'gone')[] = [
  { status: 200 },
  'hang',
  { status: 503 },
  'gone',
  { status: 429, headers: { 'retry-after': '2' } },
  'reset',
];

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const counts = makeOtlpMetrics('traces');
const config = { maxTracesPerSecond: 50, containers: false, kinds: { syscalls: { thresholdNs: 1e6 } } };
const log = { debug() {}, info: print, warn: print, error: print };
let receiver: Receiver<HttpAnswer> = await startHttpReceiver();
const { port } = receiver;
let push: TracePush | undefined;
const traces = makeTraces(config, (ended) => {
  push = openTracePush({
    config: {
      target: {
        protocol: 'http/protobuf',
        url: `${receiver.url}/v1/traces`,
        headers: {},
        timeoutMs: 2000,
        compression: 'gzip',
      },
      maxQueueSpans: 16_384,
      maxBatchSpans: 512,
      delayMs: 1000,
      exportTimeoutMs: 5000,
    },
    resource: {
      version: '',
      instance: '',
      hostName: '',
      hostId: undefined,
      kernelRelease: '',
      kernelVersion: '',
      env: {},
      said: {},
    },
    counts,
    log,
    ended,
  });
  return push;
});

function print(fields: Record<string, unknown>, message: string): void {
  console.log(`  ${message} ${JSON.stringify(fields)}`);
}

function spansOf(outcome: string): number {
  const family = traces.snapshot().families.find(({ spec }) => spec.name === 'ftrace_exporter_spans_total');
  assert.ok(family);
  return family.values[family.labelValues.indexOf(outcome) >> 1];
}

/** Reads what has come, and lets go of it. */
let arrived = 0;
function count(): void {
  for (const { body } of receiver.received.splice(0)) {
    if (receiver.answer instanceof Object && 'status' in receiver.answer && receiver.answer.status === 200)
      arrived += decodeSpans(body).spans.length;
  }
}

let handed = 0;
let latestMs = 0;
const heaps: number[] = [];
const phaseSeconds = Math.max(5, Math.floor(SECONDS / 20));
const startMs = performance.now();
for (let second = 0; second < SECONDS; second++) {
  if (second % phaseSeconds === 0) {
    count();
    const phase = PHASES[(second / phaseSeconds) % PHASES.length];
    if (phase === 'gone') await receiver.close();
    else {
      if (receiver.connections() === 0) {
        await receiver.close().catch(() => {});
        receiver = await startHttpReceiver({ port });
      }
      receiver.answer = phase;
    }
    collectGarbage();
    const { heapUsed, rss, arrayBuffers } = process.memoryUsage();
    heaps.push(heapUsed + arrayBuffers);
    const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
    console.log(
      `${second} s: ${JSON.stringify(phase)}; heap ${mib(heapUsed)} MiB, buffers ${mib(arrayBuffers)} MiB, resident ${mib(rss)} MiB, handed over ${handed}, exported ${spansOf('exported')}, failed ${spansOf('failed')}`,
    );
  }
  const beganMs = performance.now();
  traces.take(
    Array.from({ length: TRACES_A_SECOND }, () => traceOf('syscalls', { children: SPANS_A_TRACE - 1 })),
  );
  latestMs = Math.max(latestMs, performance.now() - beganMs);
  handed += TRACES_A_SECOND * SPANS_A_TRACE;
  const open = handed - spansOf('exported') - spansOf('failed');
  assert.ok(open >= 0 && open <= 16_384, `${open} spans are in no outcome, and there is room for 16384`);
  await sleep(Math.max(0, startMs + (second + 1) * 1000 - performance.now()));
  count();
}
await push?.stop(5000);
count();
const [exported, failed] = [spansOf('exported'), spansOf('failed')];
console.log(
  `${SECONDS} s: handed over ${handed} spans, exported ${exported}, failed ${failed}, read by the backend while it took them ${arrived}; longest hand-over ${latestMs.toFixed(1)} ms`,
);
assert.equal(exported + failed, handed);
const settled = heaps.slice(PHASES.length);
if (settled.length > 1) {
  const grown = Math.max(...settled) - Math.max(...heaps.slice(1, PHASES.length));
  console.log(`heap, at most, against the first round: ${(grown / 2 ** 20).toFixed(1)} MiB more`);
  assert.ok(grown < GROWTH_BYTES);
}
await receiver.close().catch(() => {});
