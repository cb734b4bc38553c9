/**
 * `npm run pictures`: docs/images/dashboard-NAME.png, a picture of each dashboard as a real Prometheus answers its queries.
 * There is no Grafana where this is made, so page.js draws the panels, with the same legends, units, thresholds and words.
 * Needs root, tracefs, Chromium and Go (for Prometheus), and takes five minutes. `--prometheus URL --node NAME` draws
 * from a Prometheus that is there.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startFleet } from '../../test/e2e/fleet.ts';
import { makeBench } from '../../test/support/agent.ts';
import { draw } from './frames.ts';

const DASHBOARDS = new URL('../dashboards/', import.meta.url);
const IMAGES = new URL('../../docs/images/', import.meta.url);
const UPLOT = new URL('../../node_modules/uplot/dist/', import.meta.url);
const WIDTH = 1200;
const ROW_PX = 28;
const HEADER_PX = 64;
const STEP_SECONDS = 5;

const { values } = parseArgs({
  options: {
    prometheus: { type: 'string' },
    node: { type: 'string', default: 'live' },
    seconds: { type: 'string', default: '240' },
    directory: { type: 'string', default: fileURLToPath(IMAGES) },
  },
});
const seconds = Number(values.seconds);

/** What was recorded happened at once, at the start: rates look back as far. */
const RECORDED_RATE = `${2 * seconds + 120}s`;

/** What is chosen on each dashboard. Tracers that this machine's kernel may not have are of recordings. */
const CHOSEN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'ftrace-node': { node: values.node },
  'ftrace-agent': { node: values.node },
  'ftrace-functions': { node: 'recorded-function.*', rate: RECORDED_RATE },
  'ftrace-realtime': { node: 'recorded-(timerlat|osnoise|hwlat|wakeup_rt)', rate: RECORDED_RATE },
};

const bench = makeBench('pictures');

// A test, so that all that the bench has started ends with it.
test('pictures of dashboards', async () => {
  const fleet =
    values.prometheus === undefined ? await startFleet(bench, { withTopLevel: false }) : undefined;
  const url = values.prometheus ?? fleet?.prometheus.url ?? '';
  if (fleet !== undefined) await sleep(seconds * 1000);
  const end = Math.floor(Date.now() / 1000 / STEP_SECONDS) * STEP_SECONDS;
  const span = { start: end - seconds, end, stepSeconds: STEP_SECONDS };
  // All answers first: while Chromium draws, this process serves Prometheus no recordings.
  const boards = await Promise.all(
    readdirSync(DASHBOARDS).map(async (name) => {
      const uid = name.replace('.json', '');
      return { uid, board: await draw(new URL(name, DASHBOARDS), url, CHOSEN[uid] ?? {}, span) };
    }),
  );
  await fleet?.end();
  mkdirSync(values.directory, { recursive: true });
  for (const { uid, board } of boards) {
    const rows = Math.max(...board.panels.map(({ panel: { gridPos } }) => gridPos.y + gridPos.h));
    const page = join(bench.directory, `${uid}.html`);
    writeFileSync(page, pageOf(board));
    const picture = join(values.directory, `${uid.replace('ftrace-', 'dashboard-')}.png`);
    shoot(page, picture, rows * ROW_PX + HEADER_PX);
    console.log(picture);
  }
});

function pageOf(board: unknown): string {
  const read = (base: URL, file: string) => readFileSync(new URL(file, base), 'utf8');
  // A closing tag within the data would end the script.
  const data = JSON.stringify({ board, rowPx: ROW_PX }).replaceAll('<', '\\u003c');
  return `<!doctype html><meta charset="utf-8"><style>${read(UPLOT, 'uPlot.min.css')}${read(
    new URL('.', import.meta.url),
    'page.css',
  )}</style><body><script>${read(UPLOT, 'uPlot.iife.min.js')}</script><script>const DATA = ${data};</script><script type="module">${read(
    new URL('.', import.meta.url),
    'page.js',
  )}</script>`;
}

function shoot(page: string, picture: string, height: number): void {
  const { status, stderr, error } = spawnSync(
    'chromium',
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--hide-scrollbars',
      '--enable-logging=stderr',
      '--virtual-time-budget=3000',
      `--window-size=${WIDTH},${height}`,
      `--screenshot=${picture}`,
      `file://${page}`,
    ],
    { encoding: 'utf8' },
  );
  if (error !== undefined) throw new Error(`chromium is needed: apt-get install chromium (${error.message})`);
  const problem = stderr.split('\n').find((line) => line.includes('Uncaught'));
  if (status !== 0 || problem !== undefined) throw new Error(`chromium: ${status}: ${problem ?? stderr}`);
}
