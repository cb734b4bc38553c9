/** Shows the overview: rates, a heat map for each histogram, and tables of the largest consumers. */
import { el } from './dom.ts';
import type { Feed } from './feed.ts';
import { legend } from './legend.ts';
import { isOwn, titleOf } from './names.ts';
import { makePanel, nounOf, type Panel } from './panel.ts';
import { makeTiles } from './tiles.ts';
import { makeTops } from './tops.ts';

export function overview(view: HTMLElement, feed: Feed): () => void {
  const tiles = makeTiles(feed);
  const tops = makeTops(feed);
  const grid = el('div', { class: 'grid' });
  let panels: Panel[] = [];
  let shown = '';
  const show = () => {
    // In a recording, the agent's own metrics have no meaning.
    const metrics = feed.index.metrics.filter(
      ({ name, kind, series }) =>
        kind === 'histogram' && series > 0 && (feed.axis === 'time' || !isOwn(name)),
    );
    const own = (name: string) => (isOwn(name) ? 1 : 0);
    metrics.sort((a, b) => own(a.name) - own(b.name));
    const names = metrics.map(({ name }) => name).join();
    if (names === shown) return;
    shown = names;
    for (const panel of panels) panel.destroy();
    panels = metrics.map(({ name }) =>
      makePanel(feed, {
        metric: name,
        title: titleOf(name),
        href: `#/metric/${name}`,
        height: 190,
        noun: nounOf(name),
        onPick: ({ fromMs, toMs, lowSeconds, highSeconds }) => {
          location.hash = `#/metric/${name}?from=${fromMs}&to=${toMs}&over=${lowSeconds}&upto=${highSeconds}`;
        },
      }),
    );
    grid.replaceChildren(...panels.map(({ element }) => element));
  };
  show();
  const end = feed.onReload(show);
  const names = feed.index.metrics.filter(({ series }) => series > 0);
  view.append(
    tiles.element,
    legend(),
    grid,
    tops.element,
    el(
      'details',
      { class: 'card' },
      el('summary', {}, `All ${names.length} metrics with a history`),
      el(
        'ul',
        { class: 'names' },
        ...names.map(({ name, help }) =>
          el(
            'li',
            {},
            el('a', { href: `#/metric/${name}` }, name),
            ' ',
            el('span', { class: 'muted' }, help),
          ),
        ),
      ),
    ),
  );
  return () => {
    end();
    tiles.destroy();
    tops.destroy();
    for (const panel of panels) panel.destroy();
  };
}
