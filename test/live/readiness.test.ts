/** An agent that will never see an event says so: it is up, it is scraped, and it is not ready. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBench, parseScrape } from '../support/agent.ts';

const bench = makeBench('readiness');
const off = { enabled: false };

test('with no probe that works it is not ready, and its probes are told to be down', async () => {
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
  assert.match(await ready.text(), /none of the probes that are on works/);
  const scrape = parseScrape(await (await fetch(`${url}/metrics`)).text());
  assert.deepEqual(scrape.series('ftrace_exporter_probe_up'), [{ labels: { probe: 'events' }, value: 0 }]);
  assert.match(stderr(), /probe is off.*reason="nothing to trace/);
});
