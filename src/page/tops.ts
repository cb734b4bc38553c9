/** Tables, like `top`, of what used most time or occurred most often in the last minute. */
import type { HistoryAnswer, HistoryMetric, HistorySeries } from '../model/history.ts';
import { getHistory } from './api.ts';
import { merged, quantile } from './buckets.ts';
import { type Cell, el, table } from './dom.ts';
import type { Feed } from './feed.ts';
import { compact, duration, rate, share } from './format.ts';
import { hintOf, isOwn, labelText, titleOf } from './names.ts';
import { topLabels } from './top-labels.ts';

const REFRESH_MS = 5000;
const WINDOW_MS = 60_000;
const LIMIT = 8;

interface Top {
  metric: HistoryMetric;
  by: readonly string[];
}

export function makeTops(
  feed: Feed,
  isWanted: (name: string) => boolean = () => true,
): { element: HTMLElement; destroy(): void } {
  const element = el('div', { class: 'grid tops' });
  const sections = new Map<string, HTMLElement>();
  const load = async () => {
    for (const { metric, by } of topsOf(feed.index.metrics)) {
      if (!isWanted(metric.name)) continue;
      const { to } = feed.range();
      const since = feed.axis === 'recording' ? undefined : to - WINDOW_MS;
      const answer = await getHistory({
        metric: metric.name,
        by,
        fold: true,
        limit: LIMIT,
        since,
      }).catch(() => undefined);
      if (answer === undefined || answer.series.length === 0) continue;
      const section = sectionOf(metric, answer);
      const before = sections.get(metric.name);
      if (before === undefined) element.append(section);
      // Do not replace a table that contains the focused element, because the user would lose the focus.
      else if (!before.contains(document.activeElement)) before.replaceWith(section);
      else continue;
      sections.set(metric.name, section);
    }
  };
  let loading = false;
  const once = async () => {
    // A background tab needs no update. The tables of a recording have only one.
    if (loading || (document.hidden && timer !== undefined)) return;
    loading = true;
    await load().finally(() => {
      loading = false;
    });
  };
  const timer = feed.axis === 'recording' ? undefined : setInterval(() => void once(), REFRESH_MS);
  const end = feed.onReload(() => void once());
  void once();
  return {
    element,
    destroy: () => {
      clearInterval(timer);
      end();
    },
  };
}

function topsOf(metrics: readonly HistoryMetric[]): Top[] {
  return metrics.flatMap((metric) => {
    if (isOwn(metric.name) || metric.series === 0) return [];
    const by = topLabels(metric);
    return by.length === 0 ? [] : [{ metric, by }];
  });
}

function sectionOf(metric: HistoryMetric, answer: HistoryAnswer): HTMLElement {
  const seconds = answer.seconds[0] || 1;
  const all = [...answer.series, ...(answer.rest === undefined ? [] : [{ labels: {}, ...answer.rest }])];
  const isHistogram = answer.kind === 'histogram';
  const amount = ({ sum, value }: HistorySeries) => (sum ?? value)?.[0] ?? 0;
  const total = all.reduce((sum, series) => sum + amount(series), 0);
  const href = `#/metric/${metric.name}`;
  const row = (series: HistorySeries): Cell[] => {
    const number = (text: string): Cell => ({ text, number: true });
    const name: Cell = { text: labelText(series.labels), href: `${href}?by=${answer.by.join(',')}` };
    const part = number(total > 0 ? share(amount(series) / total) : '–');
    if (!isHistogram) return [name, number(rate(amount(series) / seconds, metric.unit)), part];
    const buckets = merged(series.buckets ?? []);
    const line = (q: number) => {
      const at = quantile(buckets, q);
      return number(at === undefined ? '–' : duration(at));
    };
    return [name, number(compact((series.count?.[0] ?? 0) / seconds)), part, line(0.5), line(0.99)];
  };
  const head = isHistogram ? ['', 'Per second', 'Share of time', 'p50', 'p99'] : ['', 'Rate', 'Share'];
  const title = titleOf(metric.name);
  const cells = head.map((text, i) => ({ text: i === 0 ? answer.by.join(', ') : text, number: i > 0 }));
  const rest = answer.rest === undefined ? '' : ` ${answer.rest.groups} more are not shown.`;
  return el(
    'section',
    { class: 'card' },
    el('h2', {}, el('a', { href }, title)),
    el('p', { class: 'muted hint' }, `Most first, over ${duration(seconds)}.${rest}${hintOf(metric.name)}`),
    table(title, cells, answer.series.map(row)),
  );
}
