/** The view, sort order and filter that the user has chosen, and how keys change them. */
import type { TopDocument, TopRow, TopView } from './document.ts';

export const SORT_KEYS = ['busy', 'per_second', 'p50', 'p99', 'name'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

export interface TopState {
  view: number;
  sort: SortKey;
  reversed: boolean;
  filter: string;
  /** Whether the user is typing the filter. */
  typing: boolean;
  paused: boolean;
  /** Index of the first visible row. */
  offset: number;
}

export function firstState(): TopState {
  return { view: 0, sort: 'busy', reversed: false, filter: '', typing: false, paused: false, offset: 0 };
}

/** Returns the state after a key, or `quit`. `key`: the character or escape sequence that the terminal sent. */
export function pressKey(state: TopState, key: string, pageRows: number): TopState | 'quit' {
  if (key === '\x03') return 'quit';
  if (state.typing) return typeKey(state, key);
  const scroll = (rows: number) => ({ ...state, offset: Math.max(0, state.offset + rows) });
  if (/^[1-9]$/.test(key)) return { ...state, view: Number(key) - 1, offset: 0 };
  switch (key) {
    case 'q':
      return 'quit';
    case 's':
      return { ...state, sort: SORT_KEYS[(SORT_KEYS.indexOf(state.sort) + 1) % SORT_KEYS.length], offset: 0 };
    case 'r':
      return { ...state, reversed: !state.reversed, offset: 0 };
    case 'p':
    case ' ':
      return { ...state, paused: !state.paused };
    case '/':
      return { ...state, typing: true };
    case '\x1b':
      return { ...state, filter: '', offset: 0 };
    case '\x1b[A':
      return scroll(-1);
    case '\x1b[B':
      return scroll(1);
    case '\x1b[5~':
      return scroll(-pageRows);
    case '\x1b[6~':
      return scroll(pageRows);
    default:
      return state;
  }
}

function typeKey(state: TopState, key: string): TopState {
  if (key === '\r' || key === '\n') return { ...state, typing: false };
  if (key === '\x1b') return { ...state, typing: false, filter: '', offset: 0 };
  if (key === '\x7f' || key === '\b') return { ...state, filter: state.filter.slice(0, -1), offset: 0 };
  // Ignore control characters, such as Tab.
  const text = [...key].filter((char) => char >= ' ' && char !== '\x7f').join('');
  return key.startsWith('\x1b')
    ? state
    : { ...state, filter: (state.filter + text).slice(0, 100), offset: 0 };
}

export function viewOf(document: TopDocument, state: TopState): TopView {
  return document.views[Math.min(state.view, document.views.length - 1)];
}

export function nameOf({ labels }: TopRow): string {
  return Object.values(labels).join(' ');
}

/** Returns the rows that match the filter, in the chosen order. */
export function rowsOf(view: TopView, { filter, sort, reversed }: TopState): TopRow[] {
  const wanted = filter.toLowerCase();
  const rows = view.rows.filter((row) => nameOf(row).toLowerCase().includes(wanted));
  const key = sort === 'busy' && view.kind === 'counter' ? 'per_second' : sort;
  rows.sort((a, b) =>
    key === 'name' ? nameOf(a).localeCompare(nameOf(b)) : (b[key] ?? -1) - (a[key] ?? -1),
  );
  return reversed ? rows.reverse() : rows;
}
