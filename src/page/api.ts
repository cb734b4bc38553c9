/** Sends requests to the agent. URLs are relative to the page, so that they work behind a proxy with a path prefix. */
import type { HistoryAnswer, HistoryIndex, LiveColumn } from '../model/history.ts';
import type { StatusDocument } from '../model/status.ts';

export class ApiError extends Error {
  status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export async function getJson<T>(path: string): Promise<T> {
  const answer = await fetch(path, { headers: { accept: 'application/json' } });
  if (!answer.ok && answer.headers.get('content-type')?.startsWith('application/json') !== true)
    throw new ApiError(answer.status, (await answer.text()).trim());
  return (await answer.json()) as T;
}

export function getIndex(): Promise<HistoryIndex> {
  return getJson<HistoryIndex>('api/v1/history');
}

export interface Question {
  metric: string;
  resolution?: string;
  by?: readonly string[];
  where?: Readonly<Record<string, string>>;
  since?: number | undefined;
  until?: number;
  limit?: number;
  fold?: boolean;
}

export function getHistory(question: Question): Promise<HistoryAnswer> {
  const { metric, resolution, by = [], where = {}, since, until, limit, fold } = question;
  const query = new URLSearchParams({ metric });
  if (resolution !== undefined) query.set('resolution', resolution);
  if (by.length > 0) query.set('by', by.join(','));
  for (const [label, value] of Object.entries(where)) query.append('where', `${label}:${value}`);
  if (since !== undefined) query.set('since', String(since));
  if (until !== undefined) query.set('until', String(until));
  if (limit !== undefined) query.set('limit', String(limit));
  if (fold) query.set('fold', 'true');
  return getJson<HistoryAnswer>(`api/v1/history?${query}`);
}

export interface Hello extends Omit<StatusDocument, 'capture'> {
  axis: 'time' | 'recording';
  started: number;
}

export type LiveMessage = LiveColumn & { reason: string };

/** Opens the live stream. Browsers do not reconnect after an HTTP error, so this function then opens a new stream. */
export function openLive(on: {
  hello(hello: Hello): void;
  column(column: LiveMessage): void;
  lost(): void;
}): void {
  const source = new EventSource('api/v1/live');
  source.addEventListener('hello', (event) => on.hello(dataOf<Hello>(event)));
  source.addEventListener('column', (event) => on.column(dataOf<LiveMessage>(event)));
  source.addEventListener('error', () => {
    on.lost();
    if (source.readyState === EventSource.CLOSED) setTimeout(() => openLive(on), 3000);
  });
}

function dataOf<T>(event: Event): T {
  return JSON.parse((event as Event & { data: string }).data) as T;
}
