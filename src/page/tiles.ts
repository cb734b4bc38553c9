/** The first row of the overview: current rates, and totals that indicate problems. */
import type { HistoryAnswer } from '../model/history.ts';
import { getHistory } from './api.ts';
import { el } from './dom.ts';
import type { Feed } from './feed.ts';
import { compact, count, share } from './format.ts';
import { cssColour } from './palette.ts';
import { append } from './series.ts';

interface TileOptions {
  title: string;
  metric: string;
  /** Formats the metric's increase within `seconds`. */
  text(increase: number, seconds: number): string;
  /** Whether an increase is a problem. If so, the tile shows the increase over all visible columns. */
  warns?: boolean;
}

const TILES: readonly TileOptions[] = [
  {
    title: 'Events per second',
    metric: 'ftrace_exporter_events_read_total',
    text: (events, seconds) => compact(seconds > 0 ? events / seconds : 0),
  },
  {
    title: 'Events lost, visible time',
    metric: 'ftrace_exporter_events_lost_total',
    text: (events) => count(events),
    warns: true,
  },
  {
    title: 'Agent, of one CPU',
    metric: 'process_cpu_seconds_total',
    text: (cpu, seconds) => share(seconds > 0 ? cpu / seconds : 0),
  },
  {
    title: 'Probes suspended, visible time',
    metric: 'ftrace_exporter_probe_suspended_seconds_total',
    text: (seconds) => (seconds > 0 ? `${count(Math.ceil(seconds))} s` : 'never'),
    warns: true,
  },
];

const SPARK_HEIGHT = 28;
/** Number of newest columns from which a tile without `warns` computes a rate. */
const RECENT = 5;

export function makeTiles(feed: Feed): { element: HTMLElement; destroy(): void } {
  const tiles = TILES.filter(({ metric }) => feed.metric(metric) !== undefined).map((tile) =>
    makeTile(feed, tile),
  );
  return {
    element: el('div', { class: 'tiles' }, ...tiles.map(({ element }) => element)),
    destroy: () => {
      for (const tile of tiles) tile.destroy();
    },
  };
}

function makeTile(feed: Feed, { title, metric, text, warns = false }: TileOptions) {
  const value = el('strong', {}, '–');
  const spark = el('canvas', { 'aria-hidden': 'true' });
  const element = el('div', { class: 'tile' }, el('span', { class: 'muted' }, title), value, spark);
  let answer: HistoryAnswer | undefined;
  const show = () => {
    if (answer === undefined) return;
    const values = answer.series[0]?.value ?? answer.seconds.map((seconds) => (seconds === 0 ? null : 0));
    const whole = warns || feed.axis === 'recording';
    const from = whole ? 0 : Math.max(0, values.length - RECENT);
    const add = (all: readonly (number | null)[]) =>
      all.slice(from).reduce<number>((sum, one) => sum + (one ?? 0), 0);
    const increase = add(values);
    value.textContent = text(increase, add(answer.seconds));
    value.className = warns && increase > 0 ? 'bad' : '';
    drawSpark(spark, values);
  };
  const load = async () => {
    answer = await getHistory({ metric }).catch(() => undefined);
    show();
  };
  const ends = [
    feed.onColumn((column) => {
      if (answer === undefined) return;
      append(answer, column, feed.index.resolutions[0].keep_seconds * 1000);
      show();
    }),
    feed.onReload(() => void load()),
  ];
  void load();
  return { element, destroy: () => ends.forEach((end) => void end()) };
}

function drawSpark(canvas: HTMLCanvasElement, values: readonly (number | null)[]): void {
  const ratio = devicePixelRatio;
  canvas.width = (canvas.clientWidth || 140) * ratio;
  canvas.height = SPARK_HEIGHT * ratio;
  const pen = canvas.getContext('2d');
  if (pen === null || values.length === 0) return;
  const most = Math.max(...values.map((value) => value ?? 0), Number.MIN_VALUE);
  pen.strokeStyle = cssColour('--link');
  pen.lineWidth = ratio * 1.5;
  pen.beginPath();
  let isDown = false;
  values.forEach((value, i) => {
    if (value === null) {
      isDown = false;
      return;
    }
    const x = ((i + 0.5) / values.length) * canvas.width;
    const y = canvas.height - ratio - (value / most) * (canvas.height - 3 * ratio);
    if (isDown) pen.lineTo(x, y);
    else pen.moveTo(x, y);
    isDown = true;
  });
  pen.stroke();
}
