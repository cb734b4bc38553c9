/**
 * Spans of programs on every kernel: markers in the instance, and markers in the top level, which are copied or read
 * there. A program that comes to use the top level gets it, and finds it as it was.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { type Agent, startAgent } from '../../../src/agent/main/supervise.ts';
import type { Log } from '../../../src/model/log.ts';
import type { TraceRecord } from '../../../src/model/span.ts';
import { TRACEFS, until } from './lab.ts';

const INSTANCE = 'lab-markers';
const OWN = join(TRACEFS, 'instances', INSTANCE, 'trace_marker');
const TOP = join(TRACEFS, 'trace_marker');
const COPIES = existsSync(join(TRACEFS, 'options/copy_trace_marker'));
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const directory = mkdtempSync(join(tmpdir(), 'lab-markers-'));

/** Lines of the log at levels warn and error. */
const complaints: string[] = [];
const complain = (fields: Record<string, unknown>, message: string) =>
  void complaints.push(`${message} ${JSON.stringify(fields)}`);
const log: Log = { debug: () => {}, info: () => {}, warn: complain, error: complain };
let traces: TraceRecord[] = [];

function start(topLevelMarkers: boolean): Promise<Agent> {
  const file = join(directory, 'config.yaml');
  const config = {
    instance: INSTANCE,
    state_dir: directory,
    probes: { sched: { enabled: false } },
    spans: {
      top_level_markers: topLevelMarkers,
      kinds: { syscalls: { threshold: '10ms', include: ['*nanosleep'] } },
    },
  };
  writeFileSync(file, JSON.stringify(config));
  const onTraces = (some: readonly TraceRecord[]) => void traces.push(...some);
  return startAgent(loadAgentConfig({ file, env: {} }), { log, version: '0', onTraces });
}

/** Sleeps within a span that the program reports in this file. Returns what the agent made of the sleep. */
async function sleepIn(marker: string, spanId: string): Promise<TraceRecord | undefined> {
  traces = [];
  // The shell becomes the program that sleeps, so the thread stays the same.
  const script = `echo 'traceparent=00-${TRACE}-${spanId}-01 begin' > ${marker}; exec sleep 0.1`;
  execFileSync('sh', ['-c', script]);
  const slept = () => traces.find(({ spans }) => /nanosleep/.test(spans[0].name));
  await until(() => slept() !== undefined, 'the sleep becomes a trace');
  return slept();
}

const topLevelFiles = () =>
  ['trace_clock', 'tracing_on', 'current_tracer', 'options/markers', 'set_event'].map((name) =>
    readFileSync(join(TRACEFS, name), 'utf8'),
  );

describe('markers of programs', () => {
  let agent: Agent | undefined;
  let before_: string[];
  before(async () => {
    before_ = topLevelFiles();
    agent = await start(true);
  });
  after(async () => {
    await agent?.stop();
  });

  it('the agent reports the files that it reads', async () => {
    const { markers } = (await agent?.status()) ?? {};
    assert.deepEqual(markers, { files: [OWN, TOP], reason: '' });
  });

  for (const [where, file] of [
    ['the instance', OWN],
    ['the top level', TOP],
  ]) {
    it(`those in ${where} make a sleep part of the program's trace`, async () => {
      const spanId = file === OWN ? '00000000000000a1' : '00000000000000a2';
      const trace = await sleepIn(file, spanId);
      assert.equal(trace?.traceId, TRACE);
      assert.equal(trace?.spans[0].parentSpanId, spanId);
    });
  }

  it('a program that begins to use the top level has it for itself', {
    skip: COPIES && 'it is not taken here',
  }, async () => {
    writeFileSync(join(TRACEFS, 'events/sched/sched_process_exec/enable'), '1');
    await until(
      () => complaints.some((line) => /stopped reading span markers.*records events there/.test(line)),
      'the agent steps back',
    );
    assert.equal(readFileSync(join(TRACEFS, 'tracing_on'), 'utf8'), '1\n');
    execFileSync('true');
    assert.match(readFileSync(join(TRACEFS, 'trace'), 'utf8'), /sched_process_exec/);
    writeFileSync(join(TRACEFS, 'events/sched/sched_process_exec/enable'), '0');
    // Markers in the instance still work.
    assert.equal((await sleepIn(OWN, '00000000000000a3'))?.traceId, TRACE);
  });

  it('the top level is left as it was', async () => {
    await agent?.stop();
    agent = undefined;
    assert.deepEqual(topLevelFiles(), before_);
  });

  it('without the option the top level is not touched, and the agent gives the reason', {
    skip: COPIES && 'it is not taken here',
  }, async () => {
    agent = await start(false);
    const { markers } = await agent.status();
    assert.deepEqual(markers?.files, [OWN]);
    assert.match(markers?.reason ?? '', /does not copy markers from .*trace_marker/);
    assert.deepEqual(topLevelFiles(), before_);
    assert.notEqual((await sleepIn(TOP, '00000000000000a4'))?.traceId, TRACE);
  });
});
