/** Searches the traces of slow operations in the agent's memory. */
import type { SlowAnswer } from '../model/slow.ts';
import { ApiError, getJson } from './api.ts';
import { noTraces } from './cell-traces.ts';
import { el } from './dom.ts';
import { traceTable } from './trace-table.ts';

const LIMIT = 100;

export function slowPage(view: HTMLElement, query: URLSearchParams): () => void {
  const text = el('input', {
    type: 'search',
    name: 'q',
    value: query.get('q') ?? '',
    maxlength: 200,
    placeholder: 'fsync, nginx, ENOSPC, a trace id',
  });
  const least = el('input', {
    type: 'number',
    name: 'min',
    min: 0,
    step: 'any',
    value: query.get('min') ?? '',
    placeholder: '0',
  });
  const kind = el('select', { name: 'kind' });
  const offer = (kinds: readonly string[], chosen: string) => {
    // Before the first answer, the kind in the URL of the page is the only kind.
    const options = [...new Set(['', ...kinds, chosen])].map((name) =>
      el('option', { value: name, selected: name === chosen }, name || 'all kinds'),
    );
    kind.replaceChildren(...options);
  };
  offer([], query.get('kind') ?? '');
  const results = el('div', { role: 'status' });
  const form = el(
    'form',
    { class: 'search', role: 'search' },
    el('label', {}, 'Name, process, container or attribute', text),
    el('label', {}, 'At least (ms)', least),
    el('label', {}, 'Kind', kind),
    el('button', {}, 'Search'),
  );
  const search = async (wantedKind = kind.value): Promise<void> => {
    const wanted = new URLSearchParams({ limit: String(LIMIT), q: text.value });
    if (least.value !== '') wanted.set('min', String(Number(least.value) / 1000));
    if (wantedKind !== '') wanted.set('kind', wantedKind);
    try {
      const { kinds, traces } = await getJson<SlowAnswer>(`api/v1/slow?${wanted}`);
      offer(kinds, kinds.includes(kind.value) ? kind.value : '');
      results.replaceChildren(
        el(
          'p',
          { class: 'muted' },
          `${traces.length === LIMIT ? `The ${LIMIT} slowest` : traces.length} operations in memory match.`,
        ),
        ...(traces.length === 0 ? [] : [traceTable(traces)]),
      );
    } catch (error) {
      // The kind in the URL may not be enabled.
      if (wantedKind !== '' && error instanceof ApiError && error.status === 400) return search('');
      results.replaceChildren(el('p', {}, noTraces(error)));
    }
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    // Write the search into the URL of the page, so that users can share the URL.
    const address = new URLSearchParams({ q: text.value, min: least.value, kind: kind.value });
    history.replaceState(null, '', `#/slow?${address}`);
    void search();
  });
  view.append(
    el('h2', { class: 'title' }, 'Slow operations'),
    el('p', { class: 'muted' }, 'The newest and the slowest traces of each kind in the agent’s memory.'),
    form,
    el('section', { class: 'card' }, results),
  );
  void search();
  return () => {};
}
