/** Shows the rates of a counter as a line chart, with one line per series, and the latest rates in a table. */
import type UPlot from 'uplot';
import type { HistoryAnswer } from '../model/history.ts';
import { el, table } from './dom.ts';
import { moment, rate } from './format.ts';
import { labelText } from './names.ts';
import { cssColour, LINES } from './palette.ts';

const { uPlot } = globalThis as unknown as { uPlot: typeof UPlot };
const HEIGHT = 260;

export interface Lines {
  element: HTMLElement;
  set(answer: HistoryAnswer, range: { from: number; to: number }, axis: 'time' | 'recording'): void;
  destroy(): void;
}

export function makeLines(label: string): Lines {
  const box = el('div', {
    class: 'plot',
    role: 'img',
    'aria-label': `${label}: the table below contains the numbers`,
  });
  const names = el('div', {});
  const element = el('div', {}, box, names);
  let plot: UPlot | undefined;
  const destroy = () => {
    plot?.destroy();
    plot = undefined;
  };
  const resize = new ResizeObserver(() => {
    if (plot !== undefined && box.clientWidth > 0) plot.setSize({ width: box.clientWidth, height: HEIGHT });
  });
  resize.observe(box);
  return {
    element,
    set: (answer, range, axis) => {
      destroy();
      const shown = answer.series.slice(0, LINES.length);
      const ratesOf = (values: readonly (number | null)[] = []) =>
        values.map((value, i) =>
          value === null || answer.seconds[i] === 0 ? null : value / answer.seconds[i],
        );
      const rates = shown.map(({ value }) => ratesOf(value));
      const ink = (name: string) => () => cssColour(name);
      const axisInk = {
        stroke: ink('--muted'),
        ticks: { stroke: ink('--line') },
        grid: { stroke: ink('--line'), width: 1 },
      };
      plot = new uPlot(
        {
          width: Math.max(box.clientWidth, 200),
          height: HEIGHT,
          ms: 1,
          legend: { show: false },
          cursor: { show: false },
          scales: {
            x: { time: false, range: () => [range.from, range.to] },
            y: { range: (_u, _low, high) => [0, high * 1.05 || 1] },
          },
          axes: [
            { ...axisInk, space: 90, values: (_u, splits) => splits.map((ms) => moment(ms, axis)) },
            { ...axisInk, size: 80, values: (_u, splits) => splits.map((value) => rate(value, answer.unit)) },
          ],
          series: [
            {},
            ...shown.map((_, i) => ({
              stroke: LINES[i],
              width: 1.5,
              points: { show: false },
              spanGaps: false,
            })),
          ],
        },
        [answer.times, ...rates],
        box,
      );
      const rows = shown.map(({ labels }, i) => [
        { text: labelText(labels) },
        { text: rate(rates[i].findLast((one) => one !== null) ?? 0, answer.unit), number: true },
      ]);
      const caption = `${label}, latest rates`;
      const list = table(
        caption,
        [{ text: answer.by.join(', ') || 'all' }, { text: 'Latest rate', number: true }],
        rows,
      );
      list.querySelectorAll('tbody th').forEach((cell, i) => {
        const swatch = el('i', { class: 'swatch' });
        swatch.style.background = LINES[i];
        cell.prepend(swatch, ' ');
      });
      names.replaceChildren(list);
    },
    destroy: () => {
      resize.disconnect();
      destroy();
    },
  };
}
