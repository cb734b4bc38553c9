/**
 * Runs the agent for minutes at full budget against a backend of traces that fails in many ways, in turns: `npm run
 * test:backend`; the variable `SECONDS` makes it shorter than 600. The agent is a separate process on the running
 * kernel, with a workload whose number of slow operations is known. Its memory must stay flat, it must drain in time,
 * and every operation and span must end in an outcome.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Agent, makeBench, needTool, type Scrape } from '../support/agent.ts';
import { type HttpAnswer, type Receiver, startHttpReceiver } from '../support/otlp-receiver.ts';
import { decodeSpans } from '../support/otlp-traces.ts';
import { watch } from '../support/witness.ts';

const bench = makeBench('backend');
const SECONDS = Number(process.env.SECONDS ?? 600);
/** Ten times the default. */
const TRACES_PER_SECOND = 500;
const CALLS_PER_SECOND = 700;
/** A tenth of the default, so that it becomes full while the backend is gone. */
const QUEUE_SPANS = 1638;
/** The interval between two drains at full rate; one of the bounds of their histogram. */
const LONG_DRAIN = '0.02';
/** Allowed growth of resident memory from the first round of the phases to any later one. */
const GROWTH_BYTES = 16 << 20;

const OK: HttpAnswer = { status: 200 };
const PHASES: readonly (HttpAnswer | 'gone')[] = [
  OK,
  'hang',
  { status: 503 },
  'gone',
  { status: 429, headers: { 'retry-after': '2' } },
  'reset',
];

/** Each call allocates 64 pages, which takes longer than the threshold; the program prints the number of calls. */
const WORKLOAD = `
import os, sys, time
fd = os.memfd_create('ftx')
done = 0
start = time.monotonic()
while time.monotonic() - start < float(sys.argv[1]):
    os.posix_fallocate(fd, 0, 1 << 18)
    os.ftruncate(fd, 0)
    done += 1
    time.sleep(max(0, start + done / float(sys.argv[2]) - time.monotonic()))
print(done)
`;

test(`bad backends for ${SECONDS} s at ${TRACES_PER_SECOND} traces/s`, async () => {
  needTool('python3', 'python3');
  let receiver: Receiver<HttpAnswer> = await startHttpReceiver();
  const { port, url } = receiver;
  const agent = await bench.start(
    {
      probes: { block: { enabled: false }, sched: { enabled: false } },
      spans: {
        max_traces_per_second: TRACES_PER_SECOND,
        kinds: { syscalls: { threshold: '1us', include: ['fallocate'] } },
      },
      otlp: {
        endpoint: url,
        metrics: false,
        timeout: '2s',
        trace_export_timeout: '5s',
        trace_max_queue_size: QUEUE_SPANS,
      },
    },
    // Load from elsewhere on the machine must not be blamed on the backend.
    { wrapper: ['nice', '-n', '-15'] },
  );
  const others = watch(bench, ['fallocate'], { not: [0] });
  const counted = others.count();
  const workload = promisify(execFile)('python3', [
    '-c',
    WORKLOAD,
    String(SECONDS),
    String(CALLS_PER_SECOND),
  ]);

  let arrived = 0;
  const count = () => {
    for (const { body } of receiver.received.splice(0))
      if (receiver.answer === OK) arrived += decodeSpans(body).spans.length;
  };
  const phaseSeconds = Math.max(5, Math.floor(SECONDS / 20));
  const rounds: number[] = [];
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
      await tell(agent, second, phase);
    }
    await sleep(Math.max(0, startMs + (second + 1) * 1000 - performance.now()));
    const round = Math.floor(second / (phaseSeconds * PHASES.length));
    rounds[round] = Math.max(rounds[round] ?? 0, residentBytes(agent));
    count();
  }
  // The backend takes what is queued, or the agent gives it up.
  await receiver.close().catch(() => {});
  receiver = await startHttpReceiver({ port });
  const calls = Number((await workload).stdout);
  const operations = others.count() - counted;
  assert.ok(operations >= calls, `${operations} seen of ${calls}`);
  let scrape = await agent.scrape();
  const ended = () => scrape.sum('ftrace_exporter_traces_total');
  for (let tries = 0; tries < 60 && ended() < operations; tries++) {
    await sleep(500);
    count();
    scrape = await agent.scrape();
  }
  count();
  const traces = (outcome: string) => scrape.sum('ftrace_exporter_traces_total', { outcome });
  const spans = (outcome: string) => scrape.sum('ftrace_exporter_spans_total', { outcome });
  const lost = scrape.sum('ftrace_exporter_events_lost_total');
  const drained = drains(scrape);
  console.log(
    `${operations} operations: traces exported ${traces('exported')}, failed ${traces('failed')}, over budget ${traces('over_budget')};`,
    `spans exported ${spans('exported')}, failed ${spans('failed')}; received by the backend while it accepted spans ${arrived};`,
    `most resident memory, by round of the phases: ${rounds.map(mib).join(', ')} MiB; events lost ${lost}; ${drained.text}`,
  );
  assert.equal(ended(), operations, 'every operation has an outcome');
  assert.ok(traces('failed') > 0 && traces('exported') > 0 && traces('over_budget') > 0);
  assert.equal(lost, 0);
  assert.ok(drained.long <= drained.all / 100, drained.text);
  const [first, ...later] = rounds;
  for (const most of later) assert.ok(most - first < GROWTH_BYTES, `${mib(most)} MiB after ${mib(first)}`);
  await receiver.close();
  assert.equal(await agent.stop(), 0, agent.stderr());
});

async function tell(agent: Agent, second: number, phase: unknown): Promise<void> {
  const scrape = await agent.scrape();
  const traces = (outcome: string) => scrape.sum('ftrace_exporter_traces_total', { outcome });
  console.log(
    `${second} s: ${JSON.stringify(phase)}; resident ${mib(residentBytes(agent))} MiB,`,
    `traces exported ${traces('exported')}, failed ${traces('failed')}, over budget ${traces('over_budget')}; ${drains(scrape).text}`,
  );
}

/** How many drains there were, and how many took longer than the interval to the next one. */
function drains({ sum }: Scrape): { all: number; long: number; text: string } {
  const all = sum('ftrace_exporter_drain_duration_seconds_count');
  const long = all - sum('ftrace_exporter_drain_duration_seconds_bucket', { le: LONG_DRAIN });
  return { all, long, text: `${all} drains, ${long} longer than ${LONG_DRAIN} s` };
}

function residentBytes(agent: Agent): number {
  const status = readFileSync(`/proc/${agent.child.pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
