/** Gets a column (how much metrics grew) per second. After a restart or reconnection, views load everything again. */
import type { HistoryIndex, HistoryMetric, HistoryResolution } from '../model/history.ts';
import { getIndex, type Hello, type LiveMessage, openLive } from './api.ts';

export interface Feed {
  index: HistoryIndex;
  axis: 'time' | 'recording';
  resolution: HistoryResolution;
  /** Visible time range, in milliseconds: Unix time, or time since the start of a recording. */
  range(): { from: number; to: number };
  metric(name: string): HistoryMetric | undefined;
  /** Calls `listener` for each new column. Like `onReload`, returns a function that removes the listener. */
  onColumn(listener: (column: LiveMessage) => void): () => void;
  /** Calls `listener` when views must load the history again. */
  onReload(listener: () => void): () => void;
}

export interface Connection {
  feed: Feed;
  choose(resolution: string): void;
}

const LEAST_RANGE_MS = 60_000;
const REFRESH_MS = 5000;

/** Calls `onState` with each new state. `problem` is the text of a banner; '' if there is no problem. */
export async function connect(
  onState: (state: { ready: boolean; problem: string }) => void,
): Promise<Connection> {
  const columns = new Set<(column: LiveMessage) => void>();
  const reloads = new Set<() => void>();
  let started: number | undefined;
  let wasLost = false;
  let lastMs = 0;
  const index = await getIndex();
  const feed: Feed = {
    index,
    axis: index.axis,
    resolution: index.resolutions[0],
    range: () => {
      const { keep_seconds, from, to } = feed.resolution;
      if (feed.axis === 'recording') return { from: from ?? 0, to: to ?? 1 };
      const end = Math.max(lastMs, to ?? Date.now());
      // If the agent has started recently, show only the time since the first column, but at least a minute.
      const begin = Math.min(Math.max(end - keep_seconds * 1000, from ?? 0), end - LEAST_RANGE_MS);
      return { from: begin, to: end };
    },
    metric: (name) => feed.index.metrics.find((one) => one.name === name),
    onColumn: (listener) => {
      columns.add(listener);
      return () => columns.delete(listener);
    },
    onReload: (listener) => {
      reloads.add(listener);
      return () => reloads.delete(listener);
    },
  };
  const refresh = async () => {
    feed.index = await getIndex();
    feed.resolution =
      feed.index.resolutions.find(({ name }) => name === feed.resolution.name) ?? feed.index.resolutions[0];
    for (const listener of reloads) listener();
  };
  /** Returns whether the column has a metric without series in `feed.index`. The overview must add this metric. */
  const hasNew = ({ metrics }: LiveMessage) =>
    Object.keys(metrics).some((name) => (feed.metric(name)?.series ?? 0) === 0);
  let refreshedMs = 0;
  let isStale = false;
  const tryRefresh = () => {
    isStale = false;
    void refresh().catch(() => {
      isStale = true;
      // A recording has no later column that could repeat the attempt.
      if (feed.axis === 'recording') setTimeout(tryRefresh, REFRESH_MS);
    });
  };
  const hello = (message: Hello) => {
    onState({ ready: message.ready, problem: message.reason });
    const isOther = started !== undefined && started !== message.started;
    if (isOther || wasLost) tryRefresh();
    started = message.started;
    wasLost = false;
  };
  openLive({
    hello,
    column: (column) => {
      // Remember that the index is stale, because the new metric may appear in only one column. If the agent's
      // clock was set back, the history has begun again.
      isStale ||= hasNew(column) || column.time < lastMs;
      lastMs = column.time;
      if (isStale && Math.abs(column.time - refreshedMs) > REFRESH_MS) {
        refreshedMs = column.time;
        tryRefresh();
      }
      onState({ ready: column.ready, problem: column.ready ? '' : column.reason });
      for (const listener of columns) listener(column);
    },
    lost: () => {
      wasLost = true;
      onState({ ready: false, problem: 'No connection to the agent. Trying again every few seconds.' });
    },
  });
  return {
    feed,
    choose: (name) => {
      const { resolutions } = feed.index;
      feed.resolution = resolutions.find((one) => one.name === name) ?? resolutions[0];
      for (const listener of reloads) listener();
    },
  };
}
