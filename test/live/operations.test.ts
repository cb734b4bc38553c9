/**
 * Traces on the running kernel must contain the operations that declared metrics measure: as many as the program
 * caused, each below the call that caused it. Needs root and tracefs.
 */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeBench, needTool, TRACEFS } from '../support/agent.ts';
import { childrenOf, python, rootsOf, startTraced, threadOf } from '../support/traced.ts';

const bench = makeBench('operations');
const OFF = Object.fromEntries(
  ['sched', 'block', 'irq', 'softirq'].map((name) => [name, { enabled: false }]),
);
const N = 20;
const FSYNCS = `
import json, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for i in range(${N}):
    os.pwrite(fd, bytes([1 + i]) * 4096, i * 4096)
    os.fsync(fd)
print(json.dumps({'pid': os.getpid()}))
`;

for (const reader of ['raw', 'trace_pipe'])
  test(`an fsync within the file system is a part of the call, and a trace of its own, reader ${reader}`, {
    skip: !existsSync(join(TRACEFS, 'events/ext4/ext4_sync_file_enter')),
  }, async (t) => {
    needTool('python3', 'python3');
    const file = join(bench.directory, `synced-${reader}`);
    writeFileSync(file, 'x');
    const { agent, settledSpans } = await startTraced(
      bench,
      {
        kinds: {
          syscalls: { threshold: '1us', include: ['fsync'], processes: ['python3*'] },
          metrics: { threshold: '1us', include: ['fsync_*'], processes: ['python3*'] },
        },
      },
      { reader, probes: { ...OFF, filesystem: {} } },
    );
    const { pid } = await python<{ pid: number }>(FSYNCS, [file]);
    const spans = await settledSpans((some) => rootsOf(some, pid, 'syscall fsync').length >= N);
    const calls = rootsOf(spans, pid, 'syscall fsync');
    assert.equal(calls.length, N);
    const inner = calls.map((call) => childrenOf(spans, call).filter(({ name }) => name === 'fsync'));
    if (inner.every((some) => some.length === 0))
      return t.skip('the file system of this directory is not ext4');
    for (const [i, [span, ...more]] of inner.entries()) {
      assert.deepEqual(more, []);
      assert.equal(span.attributes['ftrace.label.filesystem'], 'ext4');
      // The thread sleeps inside the file system's code, so the sleep must be a child of that span, not of the call.
      const sleeps = spans.filter(({ traceId, name }) => traceId === calls[i].traceId && name === 'blocked');
      assert.ok(sleeps.some(({ parentSpanId }) => parentSpanId === span.spanId));
      assert.ok(!sleeps.some(({ parentSpanId }) => parentSpanId === calls[i].spanId));
    }
    const single = spans.filter(
      (span) => span.parentSpanId === '' && span.name === 'fsync' && threadOf(span) === pid,
    );
    assert.equal(single.length, N);
    assert.equal(await agent.stop(), 0, agent.stderr());
  });
