/** Builds HTML from template literals, and escapes every value that is not HTML already. */

export interface Html {
  readonly html: string;
}

type Value = string | number | Html | readonly Html[];

/** Tag for templates such as `` html`<p>${text}</p>` ``. Escapes strings and numbers, and inserts `Html` unchanged. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  let out = parts[0];
  for (let i = 0; i < values.length; i++) out += render(values[i]) + parts[i + 1];
  return { html: out };
}

function render(value: Value): string {
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  if ('html' in value) return value.html;
  return value.map((part) => part.html).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes text and quoted attributes. Replaces control characters, which HTML forbids, with U+FFFD. */
export function escapeHtml(text: string): string {
  return text
    .replace(/[&<>"']/g, (c) => ENTITIES[c])
    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, '\ufffd');
}
