/** Shows tabs, the state of the connection, and one view. The part of the URL after `#` selects the view. */
import { ApiError } from './api.ts';
import { containersPage, INTERFERENCE } from './containers.ts';
import { byId, el } from './dom.ts';
import { type Connection, connect } from './feed.ts';
import { metricPage } from './metric.ts';
import { overview } from './overview.ts';
import { slowPage } from './slow.ts';
import { agentPage, getStatus, latencyPage, latencyTracers } from './status.ts';
import { tracePage } from './trace.ts';

const app = byId('app');
const banner = el('div', { class: 'banner bad', role: 'alert', hidden: true });
const replayBanner = el(
  'div',
  { class: 'banner warn' },
  el('strong', {}, 'A recording, not this machine'),
  el('span', {}, 'Times are relative to its first event. Every series has the label source="replay".'),
);
const tabs = el('nav', { 'aria-label': 'Views', class: 'tabs' });
const view = el('div', { class: 'view' });
app.append(tabs, banner, view);

let connection: Connection | undefined;
let tracers: string[] = [];
let end = () => {};

const TABS: readonly [path: string, title: string][] = [
  ['', 'Overview'],
  ['containers', 'Containers'],
  ['slow', 'Slow operations'],
  ['latency', 'Latency tracers'],
  ['agent', 'Agent'],
];

function onState({ ready, problem }: { ready: boolean; problem: string }): void {
  const state = byId('state');
  state.textContent = ready ? 'Ready' : 'Not ready';
  state.className = `state ${ready ? 'good' : 'bad'}`;
  banner.hidden = problem === '';
  // Change the banner only if its text changes, because screen readers read an alert after each change.
  if (banner.textContent !== problem) banner.textContent = problem;
}

function route(): void {
  end();
  view.replaceChildren();
  const [path, search = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [name, ...rest] = path.split('/').map(decodeURIComponent);
  const query = new URLSearchParams(search);
  showTabs(name);
  end = start(name, rest, query);
}

function start(name: string, [first = '', second]: string[], query: URLSearchParams): () => void {
  switch (name) {
    case 'slow':
      return slowPage(view, query);
    case 'trace':
      return tracePage(view, first, second);
    case 'latency':
      return latencyPage(view, tracers);
    case 'agent':
      return agentPage(view);
    default:
      if (connection === undefined) {
        view.append(
          el(
            'p',
            {},
            'This agent keeps no history: history.enabled is false in its config, or the times of the recording are unknown.',
          ),
        );
        return () => {};
      }
      if (name === 'containers') return containersPage(view, connection.feed);
      return name === 'metric'
        ? metricPage(view, connection.feed, first, query)
        : overview(view, connection.feed);
  }
}

function showTabs(current: string): void {
  const active = current === 'metric' ? '' : current === 'trace' ? 'slow' : current;
  const isShown: Readonly<Record<string, boolean>> = {
    latency: tracers.length > 0,
    containers: connection?.feed.metric(INTERFERENCE) !== undefined,
  };
  const shown = TABS.filter(([path]) => isShown[path] ?? true);
  const links = shown.map(([path, title]) =>
    el('a', { href: `#/${path}`, 'aria-current': path === active ? 'page' : undefined }, title),
  );
  const items =
    connection === undefined || !['', 'metric', 'containers'].includes(current)
      ? []
      : [rangeChoice(connection)];
  tabs.replaceChildren(...links, ...items);
}

/** Creates a button per resolution, which chooses the visible time. Returns '' if there is only one. */
function rangeChoice({ feed, choose }: Connection): HTMLElement | string {
  const { resolutions } = feed.index;
  if (resolutions.length < 2) return '';
  const buttons = resolutions.map(({ name, keep_seconds }) => {
    const text = keep_seconds >= 3600 ? `${keep_seconds / 3600} h` : `${keep_seconds / 60} min`;
    const pick = () => {
      choose(name);
      showTabs(/^#\/?(\w*)/.exec(location.hash)?.[1] ?? '');
    };
    return el(
      'button',
      { type: 'button', 'aria-pressed': String(name === feed.resolution.name), onclick: pick },
      text,
    );
  });
  return el('span', { class: 'range', role: 'group', 'aria-label': 'Visible time' }, ...buttons);
}

async function begin(): Promise<void> {
  const status = await getStatus().catch(() => undefined);
  if (status?.source === 'replay') app.prepend(replayBanner);
  if (status !== undefined) {
    tracers = latencyTracers(status);
    onState({ ready: status.ready, problem: status.reason });
  }
  try {
    connection = await connect(onState);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) {
      onState({ ready: false, problem: 'No connection to the agent. Trying again every few seconds.' });
      setTimeout(() => void begin(), 3000);
      return;
    }
  }
  addEventListener('hashchange', route);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', route);
  route();
}

void begin();
