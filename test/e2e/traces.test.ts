/**
 * Sends traces of fsyncs on a disk of the test to a real OpenTelemetry Collector. Each call must become a trace that
 * agrees with the kernel's events, which a parser that shares no code with the agent reads from a second instance.
 *
 * The kernel records an event in one instance after the other, so its two timestamps differ a little, and more if an
 * interrupt or another virtual machine runs in between. The test allows for both.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBench } from '../support/agent.ts';
import { startCollector } from '../support/collector.ts';
import { makeLoopDisk } from '../support/loop-disk.ts';
import type { ReceivedSpan } from '../support/otlp-traces.ts';
import { type WitnessedEvent, watchRaw } from '../support/raw-witness.ts';
import { COLLECTOR, goProgram } from './go-program.ts';

const bench = makeBench('traces');
const FSYNCS = 100;
/** Accepted error of an interval, because each of its two events has different timestamps in the two instances. */
const STAMPS_APART_NS = 5_000;
/** Accepted share of calls with a larger error, because something ran between the two timestamps of an event. */
const DISTURBED_SHARE = 0.05;
const SWITCH = 'sched:sched_switch';
const ENTER = 'syscalls:sys_enter_fsync';
const EXIT = 'syscalls:sys_exit_fsync';
const ISSUE = 'block:block_rq_issue';
const COMPLETE = 'block:block_rq_complete';
const SECTOR_OF_FLUSH = 0;

interface Call {
  startNs: number;
  endNs: number;
  /** Time on the CPU. */
  ranNs: number;
}

interface Request {
  sector: number;
  issueNs: number;
  completeNs: number;
}

for (const protocol of ['http/protobuf', 'http/json', 'grpc'] as const) {
  test(`each of ${FSYNCS} fsyncs is a trace at the collector, by ${protocol}`, async () => {
    const collector = await startCollector(bench, goProgram(COLLECTOR));
    const disk = makeLoopDisk(bench);
    const agent = await bench.start({
      probes: { irq: { enabled: false }, softirq: { enabled: false } },
      spans: {
        max_traces_per_second: 10_000,
        kinds: { syscalls: { threshold: '1us', include: ['fsync'] } },
      },
      otlp: {
        endpoint: protocol === 'grpc' ? collector.grpcUrl : collector.httpUrl,
        protocol,
        metrics: false,
        compression: 'gzip',
      },
    });
    const workload = await bench.workload(
      `
      const fs = require('node:fs');
      const fd = fs.openSync('${disk.path}', 'r+');
      const work = () => {
        for (let i = 0; i < ${FSYNCS}; i++) {
          const size = 4096 * (1 + (i % 8) * 16);
          fs.writeSync(fd, Buffer.alloc(size, i), 0, size, (1 + (i % 40)) * 512 * 1024);
          fs.fsyncSync(fd);
        }
      };`,
      PINNED,
    );
    const own = `common_pid == ${workload.pid}`;
    const onDisk = `dev == ${disk.dev}`;
    const witness = watchRaw(bench, {
      [SWITCH]: `prev_pid == ${workload.pid} || next_pid == ${workload.pid}`,
      [ENTER]: own,
      [EXIT]: own,
      [ISSUE]: onDisk,
      [COMPLETE]: onDisk,
    });
    await workload.run();
    const events = witness.events();
    const roots = () =>
      collector
        .spans()
        .filter(
          ({ name, attributes }) =>
            name === 'syscall fsync' && attributes['ftrace.thread.id'] === workload.pid,
        );
    const deadline = performance.now() + 30_000;
    while (roots().length < FSYNCS && performance.now() < deadline) await sleep(100);
    await sleep(1500);

    const calls = callsOf(events, workload.pid);
    const requests = requestsOf(events);
    const spans = collector.spans();
    const sorted = roots().sort((a, b) => (a.start < b.start ? -1 : 1));
    assert.equal(calls.length, FSYNCS);
    assert.equal(sorted.length, FSYNCS);
    assert.equal(new Set(sorted.map(({ traceId }) => traceId)).size, FSYNCS);
    const seen = { blocks: 0, cut: 0 };
    const apart: string[] = [];
    for (const [i, root] of sorted.entries()) {
      const trace = spans.filter(({ traceId }) => traceId === root.traceId);
      // The trace can also contain requests to the disk that holds the image of the test's disk.
      const blocks = trace.filter(
        ({ name, attributes }) => name.startsWith('block ') && attributes['system.device'] === disk.name,
      );
      assertNested(root, trace);
      assertWhole(root, trace);
      assert.ok(blocks.length > 0, 'a request of each fsync is shown');
      const difference = [
        explained(root, trace, calls[i]),
        ...blocks.map((span) => asSeen(span, requests, calls[i])),
      ].find((text) => text !== undefined);
      if (difference !== undefined) apart.push(difference);
      seen.blocks += blocks.length;
      seen.cut += blocks.filter(isCut).length;
    }
    console.log(
      `${protocol}: ${sorted.length} traces, ${seen.blocks} block spans, ${seen.cut} of them cut; ${apart.length} apart: ${apart.join('; ')}`,
    );
    assert.ok(apart.length <= FSYNCS * DISTURBED_SHARE);
    await workload.end();
    assert.equal(await agent.stop(), 0, agent.stderr());
  });
}

/**
 * Runs on CPU 0, because some virtual machines record no events in the idle task of other CPUs, so that switches out of
 * it are missing.
 */
const PINNED = { wrapper: ['taskset', '-c', '0'] };

/** The calls of a thread, with the time that it spent on the CPU in each. */
function callsOf(events: readonly WitnessedEvent[], pid: number): Call[] {
  const calls: Call[] = [];
  let call: Call | undefined;
  let sinceNs = 0;
  for (const { event, ns, number } of events) {
    if (event === ENTER) {
      call = { startNs: ns, endNs: 0, ranNs: 0 };
      sinceNs = ns;
    } else if (call === undefined) continue;
    else if (event === EXIT) {
      calls.push({ ...call, endNs: ns, ranNs: call.ranNs + ns - sinceNs });
      call = undefined;
    } else if (event === SWITCH) {
      if (number('prev_pid') === pid) call.ranNs += ns - sinceNs;
      else sinceNs = ns;
    }
  }
  return calls;
}

function requestsOf(events: readonly WitnessedEvent[]): Request[] {
  const requests: Request[] = [];
  const issued = new Map<string, number>();
  for (const { event, ns, number, text } of events) {
    if (event !== ISSUE && event !== COMPLETE) continue;
    const sector =
      text('rwbs').startsWith('FF') || number('nr_sector') === 0 ? SECTOR_OF_FLUSH : number('sector');
    const key = `${sector} ${text('rwbs')}`;
    const issueNs = issued.get(key);
    if (event === ISSUE) issued.set(key, ns);
    else if (issueNs !== undefined) {
      requests.push({ sector, issueNs, completeNs: ns });
      issued.delete(key);
    }
  }
  return requests;
}

/** Fails unless children lie within their parent, and those of one parent do not overlap. */
function assertNested(parent: ReceivedSpan, trace: readonly ReceivedSpan[]): void {
  const children = childrenOf(parent, trace);
  let before = parent.start;
  for (const child of children) {
    assert.ok(child.start >= before, `${child.name} overlaps what is before it in ${parent.name}`);
    assert.ok(
      child.end >= child.start && child.end <= parent.end,
      `${child.name} is not within ${parent.name}`,
    );
    before = child.end;
    assertNested(child, trace);
  }
}

function childrenOf({ spanId }: ReceivedSpan, trace: readonly ReceivedSpan[]): ReceivedSpan[] {
  return trace
    .filter(({ parentSpanId }) => parentSpanId === spanId)
    .sort((a, b) => (a.start < b.start || (a.start === b.start && a.end < b.end) ? -1 : 1));
}

/**
 * Fails unless the thread's own time and the children, as the trace shows them, add up to the whole call. The sum may
 * be 1 % too large, because a span can show the thread as asleep a little too early.
 */
function assertWhole(root: ReceivedSpan, trace: readonly ReceivedSpan[]): void {
  const durationNs = Number(root.end - root.start);
  const ranNs = Number(root.attributes['ftrace.time.on_cpu']) * 1e9;
  const apart = childrenNs(root, trace) + ranNs - durationNs;
  assert.ok(apart > -1 && apart <= durationNs / 100 + 1, `${apart} ns too much of ${durationNs}`);
}

function childrenNs(root: ReceivedSpan, trace: readonly ReceivedSpan[]): number {
  return childrenOf(root, trace).reduce((sum, { start, end }) => sum + Number(end - start), 0);
}

/**
 * Compares a trace with the witness: the duration of the call, and the sum of the thread's own time and the children.
 * Returns a difference of more than 1 %; undefined if there is none.
 */
function explained(root: ReceivedSpan, trace: readonly ReceivedSpan[], call: Call): string | undefined {
  const durationNs = Number(root.end - root.start);
  const sumNs = childrenNs(root, trace) + call.ranNs;
  return (
    differs(durationNs, call.endNs - call.startNs, 'the call') ??
    differs(sumNs, durationNs, 'its parts together')
  );
}

const isCut = ({ attributes }: ReceivedSpan) => attributes['ftrace.cut_at_start'] === true;

/** Compares the span of a request with the witness. It must last from issue to completion, or say that it is cut. */
function asSeen(span: ReceivedSpan, requests: readonly Request[], call: Call): string | undefined {
  const sector = span.name === 'block flush' ? SECTOR_OF_FLUSH : span.attributes['ftrace.block.sector'];
  const ofIt = requests.filter(
    (r) => r.sector === sector && r.completeNs > call.startNs && r.completeNs < call.endNs,
  );
  assert.equal(ofIt.length, 1, `${span.name} of sector ${sector}: ${ofIt.length} requests`);
  const [{ issueNs, completeNs }] = ofIt;
  const deviceNs = Number(span.attributes['ftrace.block.device_time']) * 1e9;
  const shownNs = isCut(span) ? deviceNs : Number(span.end - span.start);
  assert.ok(Math.abs(shownNs - deviceNs) < 1);
  return differs(shownNs, completeNs - issueNs, span.name);
}

function differs(ns: number, seenNs: number, what: string): string | undefined {
  const isClose = Math.abs(ns - seenNs) <= seenNs / 100 + STAMPS_APART_NS;
  return isClose ? undefined : `${what} ${Math.round(ns)} ns, seen ${Math.round(seenNs)} ns`;
}
