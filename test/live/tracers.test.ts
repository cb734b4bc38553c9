/**
 * Agents with tracers, or with the text reader, on the running kernel. An agent must say which tracers cannot run, and
 * leave nothing behind.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { tracingDirs } from '../../src/tracefs/others.ts';
import { makeBench, TRACEFS } from '../support/agent.ts';

const bench = makeBench('live-tracers');

const offered = readFileSync(`${TRACEFS}/available_tracers`, 'utf8').trim().split(/\s+/);

test('the kernel saves names of tasks only for an agent that reads text', async () => {
  const isEnabled = (dir: string) => readFileSync(join(dir, 'events/enable'), 'utf8').trim() !== '0';
  const others = () => tracingDirs(TRACEFS).filter(isEnabled);
  const before = others();
  const raw = await bench.start({});
  const isAlone = [...before, ...others()].every((dir) => dir === raw.dir);
  const text = await bench.start({ reader: 'trace_pipe' });
  const options = [raw, text].map(({ dir }) => readFileSync(join(dir, 'trace_options'), 'utf8'));
  if (isAlone) assert.match(options[0], /^norecord-cmd$/m);
  assert.match(options[1], /^record-cmd$/m);
  for (const agent of [raw, text]) assert.equal(await agent.stop(), 0, agent.stderr());
});

test('the default probes read as text end as they do read raw: well, and with nothing left', async () => {
  const agent = await bench.start({ reader: 'trace_pipe' });
  while ((await agent.scrape()).sum('ftrace_exporter_events_read_total') === 0) await sleep(50);
  const scrape = await agent.scrape();
  assert.equal(scrape.sum('ftrace_exporter_decode_errors_total'), 0);
  assert.ok(scrape.sum('ftrace_sched_switches_total') > 0);
  assert.equal(await agent.stop(), 0, agent.stderr());
  assert.equal(existsSync(agent.dir), false);
  // On a busy machine, other programs may cause losses of events or use the top level. The agent warns of both.
  const warnings = agent
    .stderr()
    .split('\n')
    .filter((line) => /level=(warn|error)/.test(line));
  const isOfOthers = (line: string) => /events were lost: |runs at the top level of/.test(line);
  assert.deepEqual(
    warnings.filter((line) => !isOfOthers(line)),
    [],
  );
});

test('a tracer that this kernel lacks is off with the reason, and nothing else is', async (t) => {
  const absent = ['hwlat', 'timerlat', 'osnoise'].find((tracer) => !offered.includes(tracer));
  if (absent === undefined) {
    t.skip('this kernel has every tracer there is');
    return;
  }
  const agent = await bench.start({ probes: { [absent]: { cpus: 0 } } });
  const scrape = await agent.scrape();
  assert.equal(scrape.sum('ftrace_exporter_probe_up', { probe: absent }), 0);
  assert.equal(scrape.sum('ftrace_exporter_probe_up', { probe: 'sched' }), 1);
  assert.match(agent.stderr(), new RegExp(`built without the tracer ${absent}`));
  const { capture } = (await (await fetch(`${agent.url}/api/v1/status`)).json()) as {
    capture: { probes: { name: string; up: boolean; reason: string }[] };
  };
  const status = capture.probes.find(({ name }) => name === absent);
  assert.equal(status?.up, false);
  assert.match(status?.reason ?? '', /built without the tracer/);
  assert.equal((await fetch(`${agent.url}/api/v1/latency/${absent}`)).status, 404);
  assert.equal(await agent.stop(), 0, agent.stderr());
});
