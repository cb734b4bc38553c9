/** A heat map of durations over time. uPlot draws axes and quantile lines, heat-paint.ts draws the cells. */
import type UPlot from 'uplot';
import { el } from './dom.ts';
import { count, duration, moment } from './format.ts';
import {
  cellBounds,
  columnAt,
  type HeatCell,
  type HeatColumns,
  type HeatData,
  heatColumns,
  rowAt,
  startOf,
} from './heat-data.ts';
import { cellPainter } from './heat-paint.ts';
import { heatTable } from './heat-table.ts';
import { cssColour } from './palette.ts';

const { uPlot } = globalThis as unknown as { uPlot: typeof UPlot };

/** Minimum height of a row in pixels. A thinner row is hard to hit with a mouse or a finger. */
const ROW_PX = 7;
/** Maximum number of ticks on the duration axis. */
const MOST_TICKS = 6;

export interface HeatOptions {
  /** Name for screen readers. */
  label: string;
  height: number;
  /** Noun for what is counted, such as `waits`. */
  noun: string;
  onPick?: ((cell: PickedCell) => void) | undefined;
}

export interface PickedCell {
  fromMs: number;
  toMs: number;
  lowSeconds: number;
  highSeconds: number;
  count: number;
}

export interface Heat {
  element: HTMLElement;
  set(data: HeatData): void;
  destroy(): void;
}

interface Shown {
  data: HeatData;
  columns: HeatColumns;
}

export function makeHeat({ label, height, noun, onPick }: HeatOptions): Heat {
  const box = el('div', {
    class: 'plot',
    tabindex: 0,
    role: 'group',
    'aria-label': `${label}. Arrow keys select a cell.`,
  });
  const readout = el('p', { class: 'readout', role: 'status' });
  const mark = el('div', { class: 'mark', hidden: true });
  const numbers = el('details', {}, el('summary', {}, 'Table'));
  const element = el('div', { class: 'heat' }, box, readout, numbers);
  box.style.height = `${height}px`;

  let shown: Shown | undefined;
  let plot: UPlot | undefined;
  let cell: HeatCell | undefined;

  const show = (next: HeatCell | undefined) => {
    cell = next;
    readout.textContent = shown === undefined ? '' : describe(shown, cell, noun);
    mark.hidden = cell === undefined;
    if (cell !== undefined && plot !== undefined && shown !== undefined) place(mark, plot, shown, cell);
  };

  const pick = () => {
    if (cell !== undefined && shown !== undefined) onPick?.(picked(shown, cell));
  };

  const hover = (u: UPlot) => {
    const { left: x = -1, top: y = -1 } = u.cursor;
    if (shown === undefined || x < 0 || y < 0) {
      if (document.activeElement !== box) show(undefined);
      return;
    }
    const column = columnAt(shown.data, u.posToVal(x, 'x'));
    const row = rowAt(shown.columns, u.posToVal(y, 'y'));
    show(column === undefined || row === undefined ? undefined : { column, row });
  };

  const make = (): UPlot => {
    const data = () => shown?.data;
    const columns = () => shown?.columns;
    const width = Math.max(box.clientWidth, 200);
    const hooks = { drawAxes: [cellPainter(data, columns)], setCursor: [hover] };
    const made = new uPlot({ ...options(data, columns), width, height, hooks }, [[], [], []], box);
    made.over.append(mark);
    made.over.addEventListener('click', pick);
    return made;
  };

  const update = () => {
    if (shown === undefined) return;
    const { data, columns } = shown;
    plot ??= make();
    const middles = data.times.map((end, i) => (startOf(data, i) + end) / 2);
    plot.setData([middles, columns.p50, columns.p99]);
    show(
      cell !== undefined && cell.column < data.times.length && cell.row < columns.rows.count
        ? cell
        : undefined,
    );
    if (numbers.open) heatTable(numbers, data, columns, noun);
  };

  box.addEventListener('keydown', (event) => {
    if (shown === undefined || shown.data.times.length === 0) return;
    if (event.key === 'Enter') pick();
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    show(moved(shown, cell, step));
  });
  box.addEventListener('blur', () => show(undefined));
  numbers.addEventListener('toggle', update);
  const resize = new ResizeObserver(() => {
    if (plot !== undefined && box.clientWidth > 0) plot.setSize({ width: box.clientWidth, height });
  });
  resize.observe(box);

  return {
    element,
    set: (next) => {
      shown = { data: next, columns: heatColumns(next, Math.floor((height - 40) / ROW_PX)) };
      update();
    },
    destroy: () => {
      resize.disconnect();
      plot?.destroy();
    },
  };
}

const STEPS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

function describe({ data, columns }: Shown, cell: HeatCell | undefined, noun: string): string {
  if (cell === undefined) return summary(data, columns, noun);
  const { axis, times, notReady } = data;
  const at = moment(times[cell.column], axis);
  const counts = columns.counts[cell.column];
  if (counts === undefined) return `${at}: gap: the agent did not answer`;
  const [low, high] = cellBounds(columns, cell);
  const p99 = columns.p99[cell.column];
  const blind = notReady.has(times[cell.column]) ? ' · agent not ready' : '';
  return `${at}, ${duration(low)}–${duration(high)}, ${count(counts[cell.row])} ${noun}${
    p99 === null ? '' : ` · p99 ${duration(p99)}`
  }${blind}`;
}

function place(mark: HTMLElement, plot: UPlot, { data, columns }: Shown, cell: HeatCell): void {
  const start = plot.valToPos(startOf(data, cell.column), 'x');
  const end = plot.valToPos(data.times[cell.column], 'x');
  const [low, high] = cellBounds(columns, cell);
  const top = plot.valToPos(high, 'y');
  mark.style.transform = `translate(${start}px, ${top}px)`;
  mark.style.width = `${Math.max(2, end - start)}px`;
  mark.style.height = `${plot.valToPos(low, 'y') - top}px`;
}

function picked({ data, columns }: Shown, cell: HeatCell): PickedCell {
  const [lowSeconds, highSeconds] = cellBounds(columns, cell);
  return {
    fromMs: startOf(data, cell.column),
    toMs: data.times[cell.column],
    lowSeconds,
    highSeconds,
    count: columns.counts[cell.column]?.[cell.row] ?? 0,
  };
}

/** Returns the cell one step from `cell`, or from the middle of the last column if `cell` is undefined. */
function moved(
  { data, columns }: Shown,
  cell: HeatCell | undefined,
  [right, up]: readonly [number, number],
): HeatCell {
  const { column, row } = cell ?? {
    column: data.times.length - 1,
    row: Math.floor(columns.rows.count / 2),
  };
  const clamp = (value: number, end: number) => Math.min(Math.max(value, 0), end - 1);
  return { column: clamp(column + right, data.times.length), row: clamp(row + up, columns.rows.count) };
}

function summary({ seconds }: HeatData, { total, p50, p99 }: HeatColumns, noun: string): string {
  const last = (values: readonly (number | null)[]) => values.findLast((value) => value !== null);
  const covered = seconds.reduce((sum, each) => sum + each, 0);
  const [median, high] = [last(p50), last(p99)];
  if (total === 0) return covered === 0 ? 'No data yet' : `No ${noun} in ${duration(covered)}`;
  return `${count(total)} ${noun} in ${duration(covered)}${
    median === undefined || high === undefined || median === null || high === null
      ? ''
      : ` · latest p50 ${duration(median)}, p99 ${duration(high)}`
  }`;
}

/** Returns uPlot's options for axes and lines. uPlot calls options that are functions whenever it draws. */
function options(
  data: () => HeatData | undefined,
  columns: () => HeatColumns | undefined,
): Omit<UPlot.Options, 'width' | 'height'> {
  const ink = (name: string) => () => cssColour(name);
  const yRange = (): [number, number] => {
    const rows = columns()?.rows;
    if (rows === undefined) return [1e-6, 1];
    return [
      2 ** (((rows.first - 1) * rows.width) / 8),
      2 ** (((rows.first + rows.count - 1) * rows.width) / 8),
    ];
  };
  const axis = {
    stroke: ink('--muted'),
    ticks: { stroke: ink('--line') },
    grid: { stroke: ink('--line'), width: 1 },
  };
  const line = { stroke: ink('--text'), points: { show: false }, spanGaps: false };
  return {
    ms: 1,
    padding: [12, 28, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { show: false }, x: false, y: false },
    scales: {
      x: { time: false, range: () => [data()?.from ?? 0, data()?.to ?? 1] },
      y: { distr: 3, range: yRange },
    },
    axes: [
      {
        ...axis,
        space: 90,
        size: 34,
        values: (_u, splits) => splits.map((ms) => tick(ms, data())),
        incrs: [
          1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5,
          36e5,
        ],
      },
      {
        ...axis,
        size: 62,
        splits: () => decades(yRange()),
        filter: (_u, splits) => splits,
        values: (_u, splits) => splits.map(duration),
      },
    ],
    series: [{}, { ...line, label: 'p50', width: 1.5, dash: [4, 4] }, { ...line, label: 'p99', width: 1.5 }],
  };
}

function tick(ms: number, data: HeatData | undefined): string {
  if (data === undefined || data.axis === 'time') return moment(ms, 'time');
  return `+${ms / 1000} s`;
}

/** Returns at most about `MOST_TICKS` ticks in seconds: powers of ten and, if these are few, their multiples. */
function decades([low, high]: [number, number]): number[] {
  const all: number[] = [];
  for (let exponent = -9; exponent <= 7; exponent++) all.push(10 ** exponent);
  const within = (value: number) => value >= low && value <= high;
  const tens = all.filter(within);
  if (tens.length > MOST_TICKS) {
    const every = Math.ceil(tens.length / MOST_TICKS);
    return tens.filter((ten) => Math.round(Math.log10(ten)) % every === 0);
  }
  return tens.length > 2 ? tens : all.flatMap((ten) => [ten, 2 * ten, 5 * ten]).filter(within);
}
