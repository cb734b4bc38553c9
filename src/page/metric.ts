/** Shows one metric: a counter as a line chart, or a histogram as heat maps with the traces of each cell. */
import type { HistoryAnswer, HistoryMetric } from '../model/history.ts';
import { getHistory } from './api.ts';
import { cellTraces } from './cell-traces.ts';
import { el } from './dom.ts';
import type { Feed } from './feed.ts';
import { type Heat, makeHeat, type PickedCell } from './heat.ts';
import { heatData } from './heat-data.ts';
import { legend } from './legend.ts';
import { makeLines } from './lines.ts';
import { labelText, titleOf } from './names.ts';
import { makePanel, nounOf } from './panel.ts';
import { extend } from './series.ts';

const MOST = 12;
const EVERY_MS = 2000;

export function metricPage(view: HTMLElement, feed: Feed, name: string, query: URLSearchParams): () => void {
  const metric = feed.metric(name);
  if (metric === undefined) {
    view.append(el('p', {}, `There is no metric ${name}. Its probe may be off.`));
    return () => {};
  }
  const by = (query.get('by') ?? metric.labels.find((label) => label !== 'cpu') ?? metric.labels[0] ?? '')
    .split(',')
    .filter((label) => metric.labels.includes(label));
  view.append(
    el('h2', { class: 'title' }, titleOf(name)),
    el('p', { class: 'muted' }, `${metric.help} `, el('code', {}, name)),
    byChoice(metric, by),
  );
  return metric.kind === 'histogram'
    ? histogramPage(view, feed, { name, by, query })
    : counterPage(view, feed, { name, by });
}

function byChoice(metric: HistoryMetric, by: readonly string[]): HTMLElement | string {
  if (metric.labels.length === 0) return '';
  const link = (text: string, labels: readonly string[]) =>
    el(
      'a',
      {
        href: `#/metric/${metric.name}?by=${labels.join(',')}`,
        'aria-current': labels.join() === by.join() ? 'true' : undefined,
      },
      text,
    );
  const choices = metric.labels.map((label) => link(label, [label]));
  if (metric.labels.length > 1) choices.push(link(metric.labels.join(' and '), metric.labels));
  return el('p', { class: 'chips' }, el('span', { class: 'muted' }, 'By '), ...choices);
}

interface Wanted {
  name: string;
  by: readonly string[];
}

function histogramPage(
  view: HTMLElement,
  feed: Feed,
  { name, by, query }: Wanted & { query: URLSearchParams },
): () => void {
  const traces = el('section', { class: 'card', hidden: true, tabindex: -1 });
  const pick = (cell: PickedCell) => {
    void cellTraces(traces, feed.axis, name, cell);
  };
  const whole = makePanel(feed, {
    metric: name,
    title: 'All',
    height: 280,
    noun: nounOf(name),
    onPick: pick,
  });
  const rest = by.length === 0 ? undefined : parts(feed, { name, by }, pick);
  view.append(legend(), whole.element, traces, rest?.element ?? '');
  const from = Number(query.get('from'));
  if (from > 0)
    pick({
      fromMs: from,
      toMs: Number(query.get('to')),
      lowSeconds: Number(query.get('over')),
      highSeconds: Number(query.get('upto')),
      count: Number.NaN,
    });
  return () => {
    whole.destroy();
    rest?.destroy();
  };
}

/** Creates a heat map for each combination of label values, largest first, at most `MOST`. */
function parts(feed: Feed, { name, by }: Wanted, pick: (cell: PickedCell) => void) {
  const element = el('div', { class: 'grid' });
  const heats = new Map<string, Heat>();
  const end = follow(feed, { name, by }, (answer) => {
    const frame = { axis: feed.axis, ...feed.range() };
    for (const series of answer.series.slice(0, MOST)) {
      const title = labelText(series.labels);
      let heat = heats.get(title);
      if (heat === undefined) {
        if (heats.size >= MOST) continue;
        heat = makeHeat({ label: title, height: 170, noun: nounOf(name), onPick: pick });
        heats.set(title, heat);
        element.append(el('section', { class: 'card panel' }, el('h2', {}, title), heat.element));
      }
      heat.set(heatData(answer, series, frame));
    }
  });
  return {
    element,
    destroy: () => {
      end();
      for (const heat of heats.values()) heat.destroy();
    },
  };
}

function counterPage(view: HTMLElement, feed: Feed, { name, by }: Wanted): () => void {
  const lines = makeLines(titleOf(name));
  view.append(el('section', { class: 'card' }, lines.element));
  const end = follow(feed, { name, by }, (answer) => lines.set(answer, feed.range(), feed.axis));
  return () => {
    end();
    lines.destroy();
  };
}

/** Loads a metric, then new columns every two seconds. Calls `show` each time. Returns a function that stops this. */
function follow(feed: Feed, { name, by }: Wanted, show: (answer: HistoryAnswer) => void): () => void {
  let answer: HistoryAnswer | undefined;
  let busy = false;
  let newest = 0;
  const ask = (since?: number) =>
    getHistory({
      metric: name,
      by,
      limit: MOST,
      resolution: feed.resolution.name,
      since,
    });
  const load = async (since?: number) => {
    const request = ++newest;
    if (since === undefined) answer = undefined;
    busy = true;
    try {
      const more = await ask(since);
      // A reload, which can have another resolution, or the end of the view has replaced this request.
      if (request !== newest) return;
      if (answer === undefined) answer = more;
      else extend(answer, more, feed.resolution.keep_seconds * 1000);
      show(answer);
    } catch {
      // Ignore the error: the banner shows a lost connection, and the timer tries again.
    } finally {
      if (request === newest) busy = false;
    }
  };
  const refresh = () => {
    if (!busy) void load(answer?.times.at(-1));
  };
  const timer = feed.axis === 'recording' ? undefined : setInterval(refresh, EVERY_MS);
  const endReload = feed.onReload(() => void load());
  void load();
  return () => {
    newest++;
    clearInterval(timer);
    endReload();
  };
}
