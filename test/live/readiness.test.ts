/** An agent that can never receive an event must report that: it runs and can be scraped, but is not ready. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBench, parseScrape } from '../support/agent.ts';

const bench = makeBench('readiness');
const off = { enabled: false };

test('with no probe that works it is not ready, and reports its probes as down', async () => {
  const { stderr } = bench.launch({
    probes: { sched: off, block: off, irq: off, softirq: off, events: { count: ['none:*'] } },
  });
  let url: string | undefined;
  while (url === undefined) {
    await sleep(50);
    url = /url=(http\S+)\/metrics/.exec(stderr())?.[1];
  }
  const ready = await fetch(`${url}/readyz`);
  assert.equal(ready.status, 503);
  assert.match(await ready.text(), /no enabled probe works/);
  const scrape = parseScrape(await (await fetch(`${url}/metrics`)).text());
  assert.deepEqual(scrape.series('ftrace_exporter_probe_up'), [{ labels: { probe: 'events' }, value: 0 }]);
  assert.match(stderr(), /probe is off.*reason="no event of this kernel matches/);
});

test('it reports that somebody stopped its recording or disabled its events, and that this was undone', async () => {
  const agent = await bench.start({});
  const until = async (status: number, reason: RegExp) => {
    for (;;) {
      const response = await fetch(`${agent.url}/readyz`);
      const text = await response.text();
      if (response.status === status && reason.test(text)) return;
      await sleep(50);
    }
  };
  writeFileSync(join(agent.dir, 'tracing_on'), '0');
  await until(503, /recording was switched off: write 1 to .*tracing_on/);
  writeFileSync(join(agent.dir, 'tracing_on'), '1');
  await until(200, /ready/);
  writeFileSync(join(agent.dir, 'events/irq/softirq_raise/enable'), '0');
  await until(503, /events were disabled in .*: irq:softirq_raise;/);
  writeFileSync(join(agent.dir, 'events/irq/softirq_raise/enable'), '1');
  await until(200, /ready/);
  assert.match(
    agent.stderr(),
    /some events are no longer recorded.*tracing_on.*recording of all events has resumed/s,
  );
  assert.equal(await agent.stop(), 0, agent.stderr());
});

test('a trace clock that somebody changes makes it start again rather than measure with it', async () => {
  const agent = await bench.start({});
  writeFileSync(join(agent.dir, 'trace_clock'), 'counter');
  const restarts = async () => (await agent.scrape()).sum('ftrace_exporter_capture_restarts_total');
  while ((await restarts()) === 0) await sleep(50);
  while ((await fetch(`${agent.url}/readyz`)).status !== 200) await sleep(50);
  assert.match(readFileSync(join(agent.dir, 'trace_clock'), 'utf8'), /\[mono\]/);
  assert.match(agent.stderr(), /another user has set the trace clock of .* to counter/);
  assert.equal(await agent.stop(), 0, agent.stderr());
});
