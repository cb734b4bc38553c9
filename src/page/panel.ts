/** Shows a heat map of one metric, and updates it with each new column. */
import type { HistoryAnswer } from '../model/history.ts';
import { getHistory, type LiveMessage } from './api.ts';
import { el } from './dom.ts';
import type { Feed } from './feed.ts';
import { makeHeat, type PickedCell } from './heat.ts';
import { heatData } from './heat-data.ts';
import { append, extend } from './series.ts';

export interface PanelOptions {
  metric: string;
  title: string;
  href?: string;
  height: number;
  noun: string;
  onPick?(cell: PickedCell): void;
}

export interface Panel {
  element: HTMLElement;
  destroy(): void;
}

export function makePanel(feed: Feed, { metric, title, href, height, noun, onPick }: PanelOptions): Panel {
  const heat = makeHeat({ label: title, height, noun, onPick });
  const failure = el('p', { class: 'bad', hidden: true });
  const element = el(
    'section',
    { class: 'card panel' },
    el('h2', {}, href === undefined ? title : el('a', { href }, title)),
    failure,
    heat.element,
  );
  let answer: HistoryAnswer | undefined;
  const show = () => {
    if (answer !== undefined)
      heat.set(heatData(answer, answer.series[0], { axis: feed.axis, ...feed.range() }));
  };
  const keepMs = () => feed.resolution.keep_seconds * 1000;
  let newest = 0;
  let isLoading = false;
  const load = async () => {
    const request = ++newest;
    isLoading = true;
    try {
      const loaded = await getHistory({ metric, resolution: feed.resolution.name });
      // A later reload has replaced this one, and can have another resolution.
      if (request !== newest) return;
      answer = loaded;
      failure.hidden = true;
      show();
    } catch (error) {
      if (request !== newest) return;
      // The next column loads again.
      answer = undefined;
      failure.textContent = `No history: ${error instanceof Error ? error.message : error}`;
      failure.hidden = false;
    } finally {
      if (request === newest) isLoading = false;
    }
  };
  /** The answer for which newer columns are requested. */
  let asking: HistoryAnswer | undefined;
  const onColumn = async (column: LiveMessage) => {
    // A reload can replace `answer` during the request below. Then the column belongs to the replaced answer.
    const target = answer;
    if (target?.resolution !== feed.resolution.name) {
      if (!isLoading) void load();
      return;
    }
    if (asking === target) return;
    if (target.resolution === 'fine') append(target, column, keepMs());
    else {
      const last = target.times.at(-1) ?? 0;
      if (column.time - last < feed.resolution.step_seconds * 1000) return;
      asking = target;
      try {
        const more = await getHistory({ metric, resolution: target.resolution, since: last });
        extend(target, more, keepMs());
      } catch {
        // Ignore the error: the banner shows a lost connection, and the next column tries again.
      } finally {
        if (asking === target) asking = undefined;
      }
    }
    show();
  };
  const ends = [feed.onColumn((column) => void onColumn(column)), feed.onReload(() => void load())];
  void load();
  return {
    element,
    destroy: () => {
      for (const end of ends) end();
      heat.destroy();
    },
  };
}

/** Returns a noun for what a histogram counts, as in `37 waits`. */
export function nounOf(metric: string): string {
  const nouns: Readonly<Record<string, string>> = {
    ftrace_sched_runqueue_latency_seconds: 'waits',
    ftrace_syscall_duration_seconds: 'calls',
    ftrace_function_duration_seconds: 'calls',
    ftrace_block_io_device_seconds: 'requests',
    ftrace_block_io_queue_seconds: 'requests',
  };
  return nouns[metric] ?? 'times';
}
