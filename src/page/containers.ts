/** A matrix of containers: the row waited for a CPU, and the column used the CPU during the wait. */
import type { HistoryAnswer } from '../model/history.ts';
import { getHistory } from './api.ts';
import { el } from './dom.ts';
import type { Feed } from './feed.ts';
import { duration, rate, share } from './format.ts';
import { makeTops } from './tops.ts';

export const INTERFERENCE = 'ftrace_container_interference_seconds_total';
const VICTIM = ['namespace', 'pod', 'container'] as const;
const REFRESH_MS = 5000;
const MOST_PAIRS = 400;
const MOST_NAMES = 12;

export function containersPage(view: HTMLElement, feed: Feed): () => void {
  const card = el('section', { class: 'card' }, el('p', {}, 'No data yet'));
  const tops = makeTops(feed, (name) => name.startsWith('ftrace_container_'));
  view.append(
    el('h2', { class: 'title' }, 'Containers'),
    el(
      'p',
      { class: 'muted' },
      'Seconds per second that tasks of the row waited for a CPU while a task of the column was running on it.',
    ),
    card,
    tops.element,
  );
  const load = async () => {
    const answer = await getHistory({
      metric: INTERFERENCE,
      by: [...VICTIM, ...VICTIM.map((label) => `by_${label}`)],
      fold: true,
      limit: MOST_PAIRS,
      resolution: feed.resolution.name,
    }).catch(() => undefined);
    if (answer === undefined) return;
    const seconds = answer.seconds[0] ?? 0;
    card.replaceChildren(
      el('h2', {}, `Who had the CPU, over ${duration(Math.round(seconds))}`),
      answer.series.length === 0 ? el('p', {}, 'No container waited.') : matrix(answer, seconds || 1),
    );
  };
  const timer = feed.axis === 'recording' ? undefined : setInterval(() => void load(), REFRESH_MS);
  const end = feed.onReload(() => void load());
  void load();
  return () => {
    clearInterval(timer);
    end();
    tops.destroy();
  };
}

function matrix({ series }: HistoryAnswer, seconds: number): HTMLElement {
  const cells = new Map<string, number>();
  const waits = new Map<string, number>();
  const takes = new Map<string, number>();
  const add = (sums: Map<string, number>, key: string, value: number) =>
    sums.set(key, (sums.get(key) ?? 0) + value);
  for (const { labels, value } of series) {
    const amount = value?.[0] ?? 0;
    const victim = nameOf(VICTIM.map((label) => labels[label]));
    const culprit = nameOf(VICTIM.map((label) => labels[`by_${label}`]));
    add(cells, JSON.stringify([victim, culprit]), amount);
    add(waits, victim, amount);
    add(takes, culprit, amount);
  }
  const victims = largest(waits);
  const culprits = largest(takes);
  const most = Math.max(...cells.values(), Number.MIN_VALUE);
  const cell = (victim: string, culprit: string) => {
    const amount = cells.get(JSON.stringify([victim, culprit])) ?? 0;
    const part = amount / (waits.get(victim) || 1);
    const title = `${victim} waited ${duration(amount)} for ${culprit}: ${share(part)} of its waits`;
    const element = el(
      'td',
      { class: 'number', title },
      amount === 0 ? '' : rate(amount / seconds, 'seconds'),
    );
    // Limit the strength of the colour, so that the text stays readable.
    element.style.background = `color-mix(in srgb, var(--link) ${Math.round((amount / most) * 45)}%, transparent)`;
    return element;
  };
  return el(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Interference' },
    el(
      'table',
      {},
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          el('th', { scope: 'col' }, 'Waited \\ ran'),
          ...culprits.map((name) => el('th', { scope: 'col', class: 'number' }, name)),
        ),
      ),
      el(
        'tbody',
        {},
        ...victims.map((victim) =>
          el(
            'tr',
            {},
            el('th', { scope: 'row' }, victim),
            ...culprits.map((culprit) => cell(victim, culprit)),
          ),
        ),
      ),
    ),
  );
}

/** Joins namespace, pod and container. A systemd service has neither namespace nor pod. */
function nameOf(parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join('/') || '–';
}

function largest(sums: ReadonlyMap<string, number>): string[] {
  return [...sums]
    .sort(([, a], [, b]) => b - a)
    .slice(0, MOST_NAMES)
    .map(([name]) => name);
}
