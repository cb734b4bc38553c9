/**
 * An agent with a backend that fails in every way, one after the other, at ten times the default limit of traces, over
 * HTTP and gRPC with TLS (`npm run test:backend`). A workload on the running kernel makes a known number of slow
 * operations. Each must be counted with an outcome, memory must not grow, and the agent must drain the buffers as early
 * as one without a backend. In each state of the backend, a signal must end an agent in time.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Agent, makeBench, needTool, type Scrape } from '../support/agent.ts';
import { type BadBackend, STATES, startBadBackend } from '../support/bad-backend.ts';
import { FIXTURES } from '../support/tls.ts';
import { watch } from '../support/witness.ts';

const bench = makeBench('backend');
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const STATE_SECONDS = 5;
/** Ten times the default. */
const TRACES_A_SECOND = 500;
const CALLS_A_SECOND = 700;
/** A tenth of the default, so that the queue becomes full while the backend is gone. */
const QUEUE_SPANS = 1638;
/** The interval between two drains at full rate, in seconds: a bound of the histogram of their durations. */
const LONG_DRAIN = '0.02';
/** After the first round, resident memory may grow by this much more than that of an agent without a backend. */
const GROWTH_BYTES = 16 << 20;
const MOST_ENDING_MS = 10_000;
const PROTOCOLS = ['http/protobuf', 'grpc'] as const;

/** Makes calls that allocate 64 pages each, which takes longer than the threshold. Prints their number. */
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

/** Runs the workload until `use` has ended. Returns what `use` returns. */
async function withWorkload<T>(
  seconds: number,
  callsASecond: number,
  use: (calls: Promise<number>) => Promise<T>,
): Promise<T> {
  const running = promisify(execFile)('python3', ['-c', WORKLOAD, String(seconds), String(callsASecond)]);
  const calls = running.then(({ stdout }) => Number(stdout));
  calls.catch(() => {});
  try {
    return await use(calls);
  } finally {
    running.child.kill('SIGKILL');
  }
}

/** Starts an agent that pushes to a backend, or to none. `nice`, because other programs must not delay its drains. */
function startAgent(protocol: (typeof PROTOCOLS)[number], backend?: BadBackend): Promise<Agent> {
  const otlp = backend && {
    protocol,
    endpoint: backend.url,
    certificate: join(FIXTURES, 'ca.crt'),
    timeout: '2s',
    metric_export_interval: '1s',
    trace_export_timeout: '4s',
    trace_max_queue_size: QUEUE_SPANS,
  };
  return bench.start(
    {
      probes: { block: { enabled: false }, sched: { enabled: false }, syscalls: { include: ['fallocate'] } },
      spans: {
        max_traces_per_second: TRACES_A_SECOND,
        kinds: { syscalls: { threshold: '1us', include: ['fallocate'] } },
      },
      ...(otlp === undefined ? {} : { otlp }),
    },
    { wrapper: ['nice', '-n', '-15'] },
  );
}

before(() => needTool('python3', 'python3'));

for (const protocol of PROTOCOLS) {
  test(`${protocol}: ${ROUNDS} rounds of all states at ${TRACES_A_SECOND} traces/s`, async () => {
    const backend = await startBadBackend();
    try {
      await withAllStates(protocol, backend);
    } finally {
      await backend.close();
    }
  });
}

async function withAllStates(protocol: (typeof PROTOCOLS)[number], backend: BadBackend): Promise<void> {
  const [agent, without] = await Promise.all([startAgent(protocol, backend), startAgent(protocol)]);
  try {
    const others = watch(bench, ['fallocate'], { not: [0] });
    const counted = others.count();
    /** Most resident bytes in each round: of the agent with the backend, and of the one without. */
    const rounds: [number, number][] = [];
    const seconds = ROUNDS * STATES.length * STATE_SECONDS;
    const calls = await withWorkload(seconds, CALLS_A_SECOND, async (done) => {
      for (let round = 0; round < ROUNDS; round++) {
        rounds.push([0, 0]);
        for (const state of STATES) {
          await backend.become(state);
          for (let second = 0; second < STATE_SECONDS; second++) {
            await sleep(1000);
            const [own, base] = rounds[round];
            rounds[round] = [Math.max(own, residentBytes(agent)), Math.max(base, residentBytes(without))];
          }
          console.log(
            `${state}: resident ${mib(residentBytes(agent))} MiB, ${summary(await agent.scrape())}`,
          );
        }
      }
      return done;
    });
    await backend.become('well');
    const witnessed = others.count() - counted;
    // The agent also counts calls of other programs before the witness began and after it was read.
    const operationsIn = ({ sum }: Scrape) => sum('ftrace_syscall_duration_seconds_count');
    const endedIn = ({ sum }: Scrape) => sum('ftrace_exporter_traces_total');
    let scrape = await agent.scrape();
    for (let tries = 0; tries < 60 && endedIn(scrape) !== operationsIn(scrape); tries++) {
      await sleep(500);
      scrape = await agent.scrape();
    }
    const operations = operationsIn(scrape);
    assert.ok(operations >= witnessed && witnessed >= calls, `${operations}, ${witnessed}, ${calls}`);
    const [own, base] = [drains(scrape), drains(await without.scrape())];
    console.log(
      `${protocol}: ${operations} operations; ${summary(scrape)}; spans accepted ${backend.acceptedSpans()};`,
      `resident at most, per round: ${rounds.map(([own, base]) => `${mib(own)} (without ${mib(base)})`).join(', ')} MiB;`,
      `drains over ${LONG_DRAIN} s: ${own.long} of ${own.all}, without a backend ${base.long} of ${base.all}`,
    );
    assert.equal(endedIn(scrape), operations, 'every operation has an outcome');
    for (const outcome of ['exported', 'failed'])
      assert.ok(scrape.sum('ftrace_exporter_traces_total', { outcome }) > 0, outcome);
    const exported = scrape.sum('ftrace_exporter_spans_total', { outcome: 'exported' });
    assert.ok(exported <= backend.acceptedSpans(), 'nothing counts as exported that was not accepted');
    assert.ok(scrape.sum('ftrace_exporter_otlp_rejected_total', { signal: 'traces' }) > 0);
    assert.equal(scrape.sum('ftrace_exporter_events_lost_total'), 0);
    assert.ok(own.long / own.all <= base.long / base.all + 0.01, 'drains are as early as without a backend');
    const [[first, baseFirst], ...later] = rounds;
    for (const [most, baseMost] of later)
      assert.ok(most - first - (baseMost - baseFirst) < GROWTH_BYTES, 'memory is flat');
  } finally {
    const statuses = await Promise.all([agent.stop(), without.stop()]);
    assert.deepEqual(statuses, [0, 0], agent.stderr());
  }
}

for (const state of STATES) {
  test(`${state}: SIGTERM ends an agent within ${MOST_ENDING_MS / 1000} s`, () =>
    withWorkload(60, 100, async () => {
      const ended = PROTOCOLS.map(async (protocol) => {
        const backend = await startBadBackend();
        try {
          const agent = await startAgent(protocol, backend);
          while (backend.requests() === 0) await sleep(50);
          await backend.become(state);
          await sleep(1500);
          const startMs = performance.now();
          assert.equal(await agent.stop(), 0, agent.stderr());
          return performance.now() - startMs;
        } finally {
          await backend.close();
        }
      });
      const times = await Promise.all(ended);
      console.log(`${state}: ${PROTOCOLS.map((p, i) => `${p} ${Math.round(times[i])} ms`).join(', ')}`);
      for (const ms of times) assert.ok(ms < MOST_ENDING_MS, `${ms} ms`);
    }));
}

function summary({ sum }: Scrape): string {
  const traces = (outcome: string) => sum('ftrace_exporter_traces_total', { outcome });
  return `traces exported ${traces('exported')}, failed ${traces('failed')}, over budget ${traces('over_budget')}`;
}

/** Number of drains, and how many of them took longer than the interval between two drains. */
function drains({ sum }: Scrape): { all: number; long: number } {
  const all = sum('ftrace_exporter_drain_duration_seconds_count');
  return { all, long: all - sum('ftrace_exporter_drain_duration_seconds_bucket', { le: LONG_DRAIN }) };
}

function residentBytes(agent: Agent): number {
  const status = readFileSync(`/proc/${agent.child.pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
