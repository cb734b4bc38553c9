/**
 * Tests the page in a real browser, on the demo recording, where every number is known, and on the running kernel. With
 * `PAGE_PICTURES=DIRECTORY`, writes screenshots.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import type { LiveColumn } from '../../src/model/history.ts';
import type { SlowAnswer } from '../../src/model/slow.ts';
import { type Agent, type Bench, makeBench } from '../support/agent.ts';
import { decodeFamilies, nativeBuckets } from '../support/protobuf.ts';

const DEMO = fileURLToPath(new URL('../../captures/demo.dat', import.meta.url));
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PROTOBUF = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';
const DESKTOP = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const SECONDS = 1000;
const PICTURES = process.env.PAGE_PICTURES;
const HOSTILE = '<img src=x>';

const bench: Bench = makeBench('page');
// Workloads inherit this variable.
process.env.FTX_FILE = join(bench.directory, 'fsync');
let browser: Browser;
let demo: Agent;
before(async () => {
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  demo = await bench.start({}, { command: ['replay', DEMO, '--serve'] });
});
after(() => browser.close());

interface Visit {
  page: Page;
  context: BrowserContext;
  /** Errors in the browser, and URLs of requests to other servers than the agent. */
  problems: string[];
}

async function visit(agent: Agent, hash = '', { viewport = DESKTOP, dark = false } = {}): Promise<Visit> {
  const context = await browser.newContext({
    viewport,
    colorScheme: dark ? 'dark' : 'light',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30 * SECONDS);
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('request', (request) => {
    if (!request.url().startsWith(agent.url) && !request.url().startsWith('data:'))
      problems.push(request.url());
  });
  await page.goto(`${agent.url}/${hash}`);
  return { page, context, problems };
}

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES !== undefined) await page.screenshot({ path: join(PICTURES, `page-${name}.png`) });
}

/** The panel with this title. */
function panelOf(page: Page, title: string) {
  return page.locator('.panel', { has: page.getByRole('heading', { name: title, exact: true }) });
}

/** Runs a function, given as text, with the element of a panel. */
function inPanel<T>(page: Page, title: string, script: string): Promise<T> {
  const panel = `[...document.querySelectorAll('.panel')].find(
    (one) => one.querySelector('h2').textContent === ${JSON.stringify(title)})`;
  return page.evaluate<T>(`(${script})(${panel})`);
}

async function whenDrawn(page: Page, title: string): Promise<void> {
  await panelOf(page, title).locator('.readout', { hasText: / in / }).waitFor();
}

/** Resolves when the history has its first column. */
async function untilHistoryBegins(agent: Agent): Promise<void> {
  for (;;) {
    const answer = await fetch(`${agent.url}/api/v1/history`);
    const { resolutions } = (await answer.json()) as { resolutions: { columns: number }[] };
    if (resolutions[0]?.columns > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Counts of a metric in `/metrics` by exponential bucket, summed over all series. */
async function bucketsOf(agent: Agent, metric: string): Promise<Map<number, number>> {
  const answer = await fetch(`${agent.url}/metrics`, { headers: { accept: PROTOBUF } });
  const families = decodeFamilies(Buffer.from(await answer.arrayBuffer()));
  const buckets = new Map<number, number>();
  for (const { histogram } of families.find(({ name }) => name === metric)?.metric ?? []) {
    if (histogram === undefined) continue;
    for (const [index, count] of nativeBuckets(histogram))
      buckets.set(index, (buckets.get(index) ?? 0) + count);
  }
  return buckets;
}

/** Visits all cells of a heat map and reads the readout. A string, because these tests lack the browser's types. */
const CELLS = `(panel) => {
  const plot = panel.querySelector('.plot');
  const line = panel.querySelector('.readout');
  const press = (key) => {
    const before = line.textContent;
    plot.dispatchEvent(new KeyboardEvent('keydown', { key }));
    return line.textContent !== before;
  };
  const cells = [];
  while (press('ArrowDown'));
  let key = 'ArrowLeft';
  while (press(key));
  do {
    key = key === 'ArrowLeft' ? 'ArrowRight' : 'ArrowLeft';
    do {
      const [, time, bounds, count = '0'] = /^(.+?), (.+?–.+?), ([\\d,]+) /.exec(line.textContent) ?? [];
      cells.push([time, bounds, Number(count.replaceAll(',', ''))]);
    } while (press(key));
  } while (press('ArrowUp'));
  return cells;
}`;

type Cell = [time: string, bounds: string, count: number];

/** Fails unless the cells of each row add up to the buckets within the row's bounds. Returns the sum of all cells. */
function assertRows(cells: readonly Cell[], buckets: ReadonlyMap<number, number>): number {
  const seconds = (text: string) => {
    const [value, unit] = text.split(' ');
    return Number(value) * { ns: 1e-9, µs: 1e-6, ms: 1e-3, s: 1 }[unit as 'ns'];
  };
  const rows = new Map<string, number>();
  for (const [, bounds, count] of cells) rows.set(bounds, (rows.get(bounds) ?? 0) + count);
  let total = 0;
  for (const [bounds, count] of rows) {
    const [low, high] = bounds.split('–').map((text) => Math.round(Math.log2(seconds(text)) * 8));
    let expected = 0;
    for (let index = low + 1; index <= high; index++) expected += buckets.get(index) ?? 0;
    assert.equal(count, expected, bounds);
    total += count;
  }
  assert.equal(total, sumOf(buckets.values()));
  return total;
}

function sumOf(counts: Iterable<number>): number {
  return [...counts].reduce((sum, count) => sum + count, 0);
}

/** Goes to the newest column with a count and presses Enter on its highest cell. */
const PICK_NEWEST = `(panel) => {
  const plot = panel.querySelector('.plot');
  const line = panel.querySelector('.readout');
  const press = (key) => plot.dispatchEvent(new KeyboardEvent('keydown', { key }));
  const isEmpty = () => !/, [1-9][\\d,]* calls/.test(line.textContent);
  for (let i = 0; i < 400; i++) press('ArrowRight');
  for (let column = 0; column < 400 && isEmpty(); column++) {
    for (let i = 0; i < 50; i++) press('ArrowUp');
    for (let i = 0; i < 50 && isEmpty(); i++) press('ArrowDown');
    if (isEmpty()) press('ArrowLeft');
  }
  press('Enter');
}`;

const SERIOUS_FAULTS = `axe.run().then(({ violations }) =>
  violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => id + ': ' + nodes[0].html + ' ' + nodes[0].failureSummary))`;

test('on a recording, the counts of the cells of a row are those of its buckets in /metrics', async () => {
  const { page, context, problems } = await visit(demo, '#/metric/ftrace_block_io_device_seconds');
  await whenDrawn(page, 'All');
  const all = panelOf(page, 'All');
  await all.locator('.plot').focus();
  const cells = await inPanel<Cell[]>(page, 'All', CELLS);
  const total = assertRows(cells, await bucketsOf(demo, 'ftrace_block_io_device_seconds'));
  assert.ok(total > 50);
  assert.deepEqual(problems, []);
  await context.close();
});

/** Calls lchown, which hardly any other program does. */
const LCHOWNS = `
  const fs = require('node:fs');
  fs.writeFileSync(process.env.FTX_FILE, '');
  function work() { for (let i = 0; i < 300; i++) fs.lchownSync(process.env.FTX_FILE, 0, 0); }`;

test('on a live agent, the counts of cells are the differences of buckets in /metrics over the same seconds', {
  timeout: 180 * SECONDS,
}, async () => {
  const metric = 'ftrace_syscall_duration_seconds';
  const agent = await bench.start({ probes: { syscalls: { include: ['lchown'] } } });
  const workload = await bench.workload(LCHOWNS);
  const countedAtLeast = async (calls: number) => {
    for (;;) {
      const buckets = await bucketsOf(agent, metric);
      if (sumOf(buckets.values()) >= calls) return buckets;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  // What happens before the first column belongs to none.
  await untilHistoryBegins(agent);
  await workload.run();
  const before = await countedAtLeast(300);
  const { page, context, problems } = await visit(agent, `#/metric/${metric}`);
  await whenDrawn(page, 'All');
  await panelOf(page, 'All').locator('.plot').focus();
  const timesOf = (cells: readonly Cell[]) => new Set(cells.map(([time]) => time));
  const cellsNow = () => inPanel<Cell[]>(page, 'All', CELLS);
  // Once the page has two more columns, it has those of the first calls, or the calls were before its history.
  const enough = timesOf(await cellsNow()).size + 2;
  let times = new Set<string>();
  while (times.size < enough) {
    await page.waitForTimeout(300);
    times = timesOf(await cellsNow());
  }
  await workload.run();
  const later = await countedAtLeast(sumOf(before.values()) + 300);
  const difference = new Map([...later].map(([index, count]) => [index, count - (before.get(index) ?? 0)]));
  const total = sumOf(difference.values());
  let cells: Cell[] = [];
  // The page gets the column of a second only after the second.
  while (sumOf(cells.map(([, , count]) => count)) < total) {
    await page.waitForTimeout(300);
    cells = (await cellsNow()).filter(([time]) => !times.has(time));
  }
  assert.equal(assertRows(cells, difference), total);
  assert.deepEqual(problems, []);
  await context.close();
  await workload.end();
  assert.equal(await agent.stop(), 0);
});

test('the recording is shown on a desktop, on a phone, on a large screen and in the dark', async () => {
  const shapes = [
    { name: 'demo', viewport: DESKTOP, dark: false },
    { name: 'demo-phone', viewport: PHONE, dark: false },
    { name: 'demo-dark', viewport: DESKTOP, dark: true },
    { name: 'demo-4k', viewport: { width: 3840, height: 2160 }, dark: false },
  ];
  for (const { name, viewport, dark } of shapes) {
    const { page, context, problems } = await visit(demo, '', { viewport, dark });
    await whenDrawn(page, 'Waiting for a CPU');
    await page
      .getByRole('heading', { name: 'A recording' })
      .or(page.getByText('A recording, not this'))
      .first()
      .waitFor();
    await page.locator('.tops table').first().waitFor();
    const width = await page.evaluate<number>('document.documentElement.scrollWidth');
    assert.ok(width <= viewport.width, `${name}: ${width} px wide`);
    await picture(page, name);
    assert.deepEqual(problems, []);
    await context.close();
  }
});

test('axe-core finds no serious fault', async () => {
  for (const hash of ['', '#/metric/ftrace_irq_duration_seconds', '#/agent']) {
    for (const dark of [false, true]) {
      const { page, context } = await visit(demo, hash, { dark });
      await page.locator('.card').first().waitFor();
      if (hash !== '#/agent') await page.locator('.readout', { hasText: / in / }).first().waitFor();
      await page.evaluate(AXE);
      const faults = await page.evaluate(SERIOUS_FAULTS);
      assert.deepEqual(faults, [], `${hash} ${dark ? 'dark' : 'light'}`);
      await context.close();
    }
  }
});

/** Calls fsync on a file again and again. The task's name is HTML markup. */
const FSYNCS = `
  const fs = require('node:fs');
  fs.writeFileSync('/proc/self/comm', ${JSON.stringify(HOSTILE)});
  const fd = fs.openSync(process.env.FTX_FILE, 'w');
  function work() {
    for (let i = 0; i < 50; i++) { fs.writeSync(fd, Buffer.alloc(4096)); fs.fsyncSync(fd); }
  }`;

const LIVE = {
  probes: { syscalls: { include: ['fsync'] } },
  spans: { max_traces_per_second: 1000, kinds: { syscalls: { threshold: '1us', include: ['fsync'] } } },
};

test('a visit: hover, click a cell, open the waterfall, search, copy the link, follow it', {
  timeout: 180 * SECONDS,
}, async () => {
  const agent = await bench.start(LIVE);
  const workload = await bench.workload(FSYNCS);
  const { page, context, problems } = await visit(agent);
  await whenDrawn(page, 'Waiting for a CPU');
  await workload.run();
  // The metric gets its first series while the page is open.
  await whenDrawn(page, 'System calls');
  const isTraced = async () => {
    const answer = (await (await fetch(`${agent.url}/api/v1/slow?q=fsync`)).json()) as SlowAnswer;
    return answer.traces.length > 0;
  };
  while (!(await isTraced())) await new Promise((resolve) => setTimeout(resolve, 100));

  await page.locator('.panel h2 a', { hasText: 'System calls' }).click();
  const fsync = panelOf(page, 'fsync');
  await fsync.locator('.readout', { hasText: /calls in/ }).waitFor();
  const over = fsync.locator('.u-over');
  const box = await over.boundingBox();
  assert.ok(box);
  await over.scrollIntoViewIfNeeded();
  // A new column appears on the right every second, and the others move to the left.
  let hovered = '';
  for (let x = box.width - 5; !hovered.includes('–'); x = x > box.width / 2 ? x - 5 : box.width - 5) {
    await over.hover({ position: { x, y: box.height / 2 } });
    hovered = (await fsync.locator('.readout').textContent()) ?? '';
  }
  assert.match(hovered, /^\d\d:\d\d:\d\d, [\d.]+ [nµm]?s–[\d.]+ [nµm]?s, [\d,]+ calls/);

  // Only columns with calls can have traces. The newest of them is that of the burst.
  await fsync.locator('.plot').focus();
  await inPanel(page, 'fsync', PICK_NEWEST);
  const traces = page.locator('section', { has: page.getByRole('heading', { name: /^Traces in the cell/ }) });
  await traces.getByRole('link', { name: 'syscall fsync' }).first().click();
  await page.getByRole('heading', { name: 'Waterfall' }).waitFor();
  assert.equal(await page.locator('img').count(), 0, 'a name became markup');

  const link = page.url();
  await page.getByRole('button', { name: 'Copy link' }).click();
  await page.getByText('copied').waitFor();
  assert.equal(await page.evaluate('navigator.clipboard.readText()'), link);
  const href = await page.getByRole('link', { name: 'Download for Perfetto' }).getAttribute('href');
  const file = (await (await fetch(`${agent.url}/${href}`)).json()) as {
    traceEvents: { ph: string; name: string }[];
  };
  const shown = await page.locator('.waterfall .name').allTextContents();
  const spans = file.traceEvents.filter(({ ph }) => ph === 'X');
  assert.deepEqual(spans.map(({ name }) => name).sort(), shown.sort());

  await page.getByRole('link', { name: 'Slow operations' }).click();
  await page.getByLabel('Name, process').fill(HOSTILE);
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByRole('link', { name: 'syscall fsync' }).first().waitFor();
  assert.equal(await page.locator('img').count(), 0, 'a name became markup');
  await page.goto('about:blank');
  problems.length = 0;
  await page.goto(link);
  await page.getByRole('heading', { name: 'Waterfall' }).waitFor();
  assert.deepEqual(problems, []);
  await context.close();
  await workload.end();
  assert.equal(await agent.stop(), 0);
});

test('when the agent restarts, the page says so and goes on with the new one', {
  timeout: 180 * SECONDS,
}, async () => {
  const agent = await bench.start(LIVE);
  const { page, context } = await visit(agent);
  await whenDrawn(page, 'Waiting for a CPU');
  await agent.stop();
  await page.getByText('No connection to the agent').waitFor();
  const address = new URL(agent.url).host;
  const again = await bench.start({ ...LIVE, web: { listen_address: address } });
  await page.getByText('No connection to the agent').waitFor({ state: 'hidden' });
  assert.equal(await page.locator('#state').textContent(), 'Ready');
  await whenDrawn(page, 'Waiting for a CPU');
  await context.close();
  assert.equal(await again.stop(), 0);
});

test('two metrics that get their first series within five seconds are both looked up', {
  timeout: 60 * SECONDS,
}, async () => {
  const context = await browser.newContext({ viewport: DESKTOP });
  const page = await context.newPage();
  const agent = await bench.start(LIVE);
  const start = Date.now();
  const hello = { version: '', source: 'live', axis: 'time', started: 1, ready: true, reason: '' };
  // Each of the two metrics changes only once. The browser does not connect again during the test.
  let body = `retry: 600000\n\nevent: hello\ndata: ${JSON.stringify(hello)}\n\n`;
  for (let second = 0; second < 10; second++) {
    const names = ['ftrace_first_total', 'ftrace_second_total'].slice(second, second + 1);
    const metrics = Object.fromEntries(names.map((name) => [name, { value: 1 }]));
    const column = { ...columnAt(start + 1000 * second), metrics };
    body += `event: column\ndata: ${JSON.stringify(column)}\n\n`;
  }
  await page.route('**/api/v1/live', (route) => route.fulfill({ contentType: 'text/event-stream', body }));
  let lookUps = 0;
  page.on('request', (request) => {
    if (request.url().endsWith('/api/v1/history')) lookUps++;
  });
  await page.goto(agent.url);
  // The page asks once when it opens, and once for each metric.
  while (lookUps < 3) await page.waitForTimeout(100);
  await context.close();
  assert.equal(await agent.stop(), 0);
});

test('after 15 minutes of columns the heap has not grown by more than 10 MiB since it was full', {
  timeout: 180 * SECONDS,
}, async () => {
  const context = await browser.newContext({ viewport: DESKTOP });
  const page = await context.newPage();
  const agent = await bench.start(LIVE);
  let sent = Date.now();
  const hello = { version: '', source: 'live', axis: 'time', started: 1, ready: true, reason: '' };
  // Each connection delivers five minutes of columns at once and ends. Then the browser connects again.
  let connections = 0;
  await page.route('**/api/v1/live', (route) => {
    connections++;
    let body = `retry: 100\n\nevent: hello\ndata: ${JSON.stringify(hello)}\n\n`;
    for (let i = 0; i < 300; i++) {
      sent += 1000;
      body += `event: column\ndata: ${JSON.stringify(columnAt(sent))}\n\n`;
    }
    return route.fulfill({ contentType: 'text/event-stream', body });
  });
  await page.goto(agent.url);
  const heapAfter = async (connection: number) => {
    while (connections < connection) await page.waitForTimeout(100);
    await page.waitForTimeout(500);
    const session = await context.newCDPSession(page);
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    return usedSize;
  };
  const full = await heapAfter(2);
  const later = await heapAfter(5);
  assert.ok(later - full < 10 << 20, `${full} → ${later} bytes`);
  await context.close();
  assert.equal(await agent.stop(), 0);
});

function columnAt(time: number): LiveColumn & { reason: string } {
  const buckets = Array.from({ length: 60 }, (_, i) => [i - 150, 1 + ((time / 1000 + i) % 7)]).flat();
  const durations = { count: 240, sum: 0.1, buckets };
  return {
    time,
    seconds: 1,
    gap: false,
    ready: true,
    reason: '',
    metrics: {
      ftrace_syscall_duration_seconds: durations,
      ftrace_sched_runqueue_latency_seconds: durations,
      ftrace_softirq_latency_seconds: durations,
      ftrace_exporter_events_read_total: { value: 1000 },
    },
  };
}

test('pictures of a live agent for the docs', { skip: PICTURES === undefined }, async () => {
  const kinds = { syscalls: { threshold: '1ms', include: ['fsync'] } };
  const agent = await bench.start({ probes: { syscalls: {} }, spans: { kinds } });
  const workload = await bench.workload(FSYNCS.replace(HOSTILE, 'orders-db'));
  for (const deadline = Date.now() + 100 * SECONDS; Date.now() < deadline; ) {
    await workload.run();
    await new Promise((resolve) => setTimeout(resolve, 3 * SECONDS));
  }
  const answer = await fetch(`${agent.url}/api/v1/slow?kind=syscalls&limit=1&min=0.01`);
  const { traces } = (await answer.json()) as SlowAnswer;
  const views = [
    { name: 'overview', hash: '', heading: 'Waiting for a CPU' },
    { name: 'metric', hash: '#/metric/ftrace_syscall_duration_seconds', heading: 'futex' },
    { name: 'waterfall', hash: `#/trace/${traces[0]?.traceId}`, heading: 'Waterfall' },
  ];
  for (const { name, hash, heading } of views) {
    for (const [shape, how] of [
      ['', {}],
      ['-dark', { dark: true }],
      ['-phone', { viewport: PHONE }],
    ] as const) {
      const { page, context } = await visit(agent, hash, how);
      await page.getByRole('heading', { name: heading, exact: true }).first().waitFor();
      await page.waitForTimeout(3 * SECONDS);
      await picture(page, name + shape);
      await context.close();
    }
  }
  await workload.end();
  assert.equal(await agent.stop(), 0);
});
