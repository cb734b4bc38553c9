/** Lists the traces that belong to a cell of a heat map: those with an exemplar in the cell. */
import type { SlowAnswer } from '../model/slow.ts';
import { ApiError, getJson } from './api.ts';
import { el } from './dom.ts';
import { count, duration, moment } from './format.ts';
import type { PickedCell } from './heat.ts';
import { nounOf } from './panel.ts';
import { traceTable } from './trace-table.ts';

/** Extends the searched period in both directions, because a duration can be counted before or after its span ends. */
const AROUND_MS = 1500;

export async function cellTraces(
  section: HTMLElement,
  axis: 'time' | 'recording',
  metric: string,
  { fromMs, toMs, lowSeconds, highSeconds, count: counted }: PickedCell,
): Promise<void> {
  const what = Number.isNaN(counted) ? '' : `${count(counted)} ${nounOf(metric)}`;
  const title = `${moment(toMs, axis)}, ${duration(lowSeconds)}–${duration(highSeconds)} ${what}`;
  const show = (...content: (Node | string)[]) => {
    section.hidden = false;
    section.replaceChildren(el('h2', {}, `Traces in the cell ${title}`), ...content);
    section.focus({ preventScroll: true });
    section.scrollIntoView({ block: 'nearest' });
  };
  if (axis === 'recording') {
    show(el('p', {}, 'A recording has no traces of slow operations: only a running agent makes them.'));
    return;
  }
  const query = new URLSearchParams({
    metric,
    over: String(lowSeconds),
    upto: String(highSeconds),
    since: String(Math.floor(fromMs - AROUND_MS)),
    until: String(Math.ceil(toMs + AROUND_MS)),
    limit: '50',
  });
  try {
    const { traces } = await getJson<SlowAnswer>(`api/v1/slow?${query}`);
    if (traces.length > 0) show(traceTable(traces));
    else
      show(
        el(
          'p',
          {},
          'No trace for this cell is in memory. Only operations above the threshold of their kind (spans.kinds in the config) become traces, and the agent keeps only the newest and the slowest.',
          el('a', { href: '#/slow' }, 'All slow operations'),
        ),
      );
  } catch (error) {
    show(el('p', {}, noTraces(error)));
  }
}

export function noTraces(error: unknown): string {
  if (error instanceof ApiError && error.status === 404)
    return 'Slow operations are not traced: add a kind to spans.kinds in the config, such as syscalls.';
  if (error instanceof ApiError) return `The agent answers with the error ${error.status}: ${error.message}`;
  return `The agent does not answer: ${error instanceof Error ? error.message : String(error)}`;
}
