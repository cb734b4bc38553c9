/**
 * With `PAGE_PICTURES=DIRECTORY`, writes the pictures of docs/traces.md: waterfalls of calls on the running kernel
 * whose cause is known.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Browser, chromium } from 'playwright-core';
import type { SlowAnswer, SlowTree, SpanTree } from '../../src/model/slow.ts';
import { makeBench } from '../support/agent.ts';
import { ON_CPU_0, OTHER_CPU, PRELUDE } from '../support/path-cases.ts';
import { python } from '../support/traced.ts';

const PICTURES = process.env.PAGE_PICTURES;
const MARGIN = 12;

const bench = makeBench('trace-pictures');
let browser: Browser;
before(async () => {
  if (PICTURES !== undefined)
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
});
after(() => browser?.close());

/** All tasks are on CPU 0. The children end with the program. */
const PROGRAM = `${PRELUDE}
RUNS = 30
name('app')
`;

const CASES = [
  {
    name: 'trace-fsync',
    syscall: 'fsync',
    summary: /^\d\S+ ms: \S+ ms kworker\S+ waited for CPU 0 behind batch-job/,
    script: `
child('batch-job', hog, -5)
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
for i in range(4 * RUNS):
    os.pwrite(fd, os.urandom(65536), i * 65536)
    os.fsync(fd)
`,
  },
  {
    name: 'trace-pipe',
    syscall: 'read',
    summary: /^\d\S+ ms: .*ms writer waited for CPU 0 behind batch-job/,
    script: `above_others()
mine, theirs = os.pipe()
def writer():
    for i in range(RUNS):
        time.sleep(0.005)
        spin(0.005)
        os.write(theirs, b'x')
child('writer', writer)
child('batch-job', hog, -5)
for i in range(RUNS): os.read(mine, 1)
`,
  },
  {
    name: 'trace-futex',
    syscall: 'futex',
    summary: /^\d\S+ ms: .*ms holder waited for CPU 0 behind batch-job/,
    script: `above_others()
lock = multiprocessing.Lock()
mine, theirs = os.pipe()
def holder():
    for i in range(RUNS):
        lock.acquire()
        os.write(theirs, b'x')
        spin(0.006)
        lock.release()
        time.sleep(0.02)
child('holder', holder)
child('batch-job', hog, -5)
for i in range(RUNS):
    os.read(mine, 1)
    lock.acquire()
    lock.release()
`,
  },
];

for (const { name, syscall, summary, script } of CASES) {
  test(`the picture ${name} for the docs`, {
    skip: PICTURES === undefined && 'only for the docs',
  }, async () => {
    const kinds = { syscalls: { threshold: '5ms', include: [syscall], processes: ['app'] } };
    const agent = await bench.start(
      { probes: { workqueue: {} }, spans: { kinds } },
      {
        wrapper: OTHER_CPU,
      },
    );
    await python(`${PROGRAM}${script}finish()\n`, [join(bench.directory, 'file')], ON_CPU_0);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const answer = await fetch(`${agent.url}/api/v1/slow?kind=syscalls&limit=100&min=0.005`);
    const { traces } = (await answer.json()) as SlowAnswer;
    const clear = traces
      .filter(({ attributes }) => summary.test(String(attributes['ftrace.summary'])))
      .sort((a, b) => badness(a) - badness(b))[0];
    assert.ok(clear, `no trace of ${traces.length} is of the case`);
    const page = await browser.newPage({ viewport: { width: 1000, height: 1400 } });
    await page.goto(`${agent.url}/#/trace/${clear.traceId}/${clear.spanId}`);
    const waterfall = page.locator('section.card', { has: page.getByRole('heading', { name: 'Waterfall' }) });
    await waterfall.waitFor();
    const [top, bottom] = [await page.locator('h2.title').boundingBox(), await waterfall.boundingBox()];
    assert.ok(top && bottom);
    const clip = {
      x: 0,
      y: top.y - MARGIN,
      width: 1000,
      height: bottom.y + bottom.height - top.y + 2 * MARGIN,
    };
    await page.screenshot({ path: join(PICTURES as string, `${name}.png`), clip });
    await page.close();
    assert.equal(await agent.stop(), 0, agent.stderr());
  });
}

/** The trace with the lowest value makes the clearest picture: it has few spans and explains most of its time. */
function badness(trace: SlowTree): number {
  const size = ({ children }: SpanTree): number => children.reduce((sum, child) => sum + size(child), 1);
  return size(trace) + 100 * (1 - Number(trace.attributes['ftrace.explained_ratio']));
}
