/** Creates elements. Text is inserted only as text nodes, so that a name from the kernel cannot become markup. */

type Child = Node | string | number | undefined | readonly Child[];
type Props = Record<string, string | number | boolean | EventListener | undefined>;

/** In `props`, functions become listeners, and `true` becomes an empty attribute. Skips `undefined` and `false`. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  add(element, children);
  return element;
}

function add(element: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === undefined) continue;
    if (child instanceof Node) element.append(child);
    else if (typeof child === 'object') add(element, child);
    else element.append(printable(String(child)));
  }
}

/** Replaces control characters and characters that change the text direction, because they can disguise a name. */
function printable(text: string): string {
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}

export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element ${id}`);
  return element;
}

export interface Cell {
  text: string;
  href?: string;
  number?: boolean;
}

/** Creates a table that scrolls sideways on narrow screens. The first cell of each row is its heading. */
export function table(
  caption: string,
  head: readonly Cell[],
  rows: readonly (readonly Cell[])[],
): HTMLElement {
  const cell = (tag: 'th' | 'td', { text, href, number }: Cell, props: Props = {}) =>
    el(
      tag,
      { ...props, class: number ? 'number' : undefined },
      href === undefined ? text : el('a', { href }, text),
    );
  return el(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    el(
      'table',
      {},
      el('thead', {}, el('tr', {}, ...head.map((one) => cell('th', one, { scope: 'col' })))),
      el(
        'tbody',
        {},
        ...rows.map((row) =>
          el(
            'tr',
            {},
            ...row.map((one, i) => cell(i === 0 ? 'th' : 'td', one, i === 0 ? { scope: 'row' } : {})),
          ),
        ),
      ),
    ),
  );
}
