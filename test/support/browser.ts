/**
 * Simulates the parts of a browser that the page's scripts use, so that unit tests can run these scripts in Node. It has
 * a tree of elements, but computes no layout and draws nothing.
 */

export class FakeElement extends EventTarget {
  readonly tag: string;
  readonly attributes = new Map<string, string>();
  readonly style = {};
  readonly clientWidth = 400;
  children: (FakeElement | string)[] = [];
  parent: FakeElement | undefined;
  className = '';
  #value: string | undefined;

  constructor(tag: string) {
    super();
    this.tag = tag;
  }

  /** This element and all elements in it with the tag. */
  all(tag: string): FakeElement[] {
    const inner = this.children.flatMap((child) => (typeof child === 'string' ? [] : child.all(tag)));
    return this.tag === tag ? [this, ...inner] : inner;
  }

  get textContent(): string {
    return this.children.map((child) => (typeof child === 'string' ? child : child.textContent)).join('');
  }
  set textContent(text: string) {
    this.replaceChildren(text);
  }
  get hidden(): boolean {
    return this.attributes.has('hidden');
  }
  set hidden(is: boolean) {
    if (is) this.attributes.set('hidden', '');
    else this.attributes.delete('hidden');
  }
  get value(): string {
    if (this.tag !== 'select') return this.#value ?? this.attributes.get('value') ?? '';
    const options = this.all('option').map(({ attributes }) => attributes);
    const chosen = options.find((option) => option.get('value') === this.#value);
    return (chosen ?? options.findLast((option) => option.has('selected')) ?? options[0])?.get('value') ?? '';
  }
  set value(value: string) {
    this.#value = value;
  }

  append(...children: (FakeElement | string)[]): void {
    this.#insert(this.children.length, children);
  }
  prepend(...children: (FakeElement | string)[]): void {
    this.#insert(0, children);
  }
  replaceChildren(...children: (FakeElement | string)[]): void {
    this.children = [];
    this.#value = undefined;
    this.append(...children);
  }
  replaceWith(other: FakeElement): void {
    const { parent } = this;
    if (parent !== undefined) parent.#insert(parent.children.indexOf(this), [other]);
    this.remove();
  }
  remove(): void {
    if (this.parent === undefined) return;
    this.parent.children = this.parent.children.filter((child) => child !== this);
    this.parent = undefined;
  }
  #insert(at: number, children: (FakeElement | string)[]): void {
    for (const child of children) {
      if (typeof child === 'string') continue;
      child.remove();
      child.parent = this;
    }
    this.children.splice(at, 0, ...children);
  }

  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
  }
  contains(other: unknown): boolean {
    return (
      other === this || this.children.some((child) => child instanceof FakeElement && child.contains(other))
    );
  }
  querySelectorAll(): FakeElement[] {
    return [];
  }
  getContext(): null {
    return null;
  }
}

class FakePlot {
  readonly over = new FakeElement('div');
  setData(): void {}
  setSize(): void {}
  destroy(): void {}
}

/** Elements with an `id`, for `document.getElementById`. */
export const byId = new Map<string, FakeElement>();

export const fakeDocument = {
  hidden: false,
  activeElement: undefined,
  documentElement: new FakeElement('html'),
  createElement: (tag: string) => new FakeElement(tag),
  getElementById: (id: string) => byId.get(id) ?? null,
};

/**
 * Loads a script of the page. Its type must be written down in the test, because the compiler checks tests without the
 * types of browsers.
 */
export async function loadScript<T>(name: string): Promise<T> {
  Object.assign(globalThis, {
    document: fakeDocument,
    Node: FakeElement,
    uPlot: FakePlot,
    devicePixelRatio: 1,
    location: { hash: '' },
    history: { replaceState() {} },
    matchMedia: () => new EventTarget(),
    addEventListener() {},
    getComputedStyle: () => ({ getPropertyValue: () => '' }),
    ResizeObserver: class {
      observe() {}
      disconnect() {}
    },
  });
  return await import(new URL(`../../src/page/${name}`, import.meta.url).href);
}
