/**
 * What a client accepts in, format and compression out (RFC 9110, 12.5). Prometheus names several versions of each
 * format with q-values and escaping parameters; what is not served here (protobuf) falls to its next best.
 */
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import type { TextFormat } from './series-lines.ts';

export const CONTENT_TYPES: Readonly<Record<TextFormat, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** Bodies below this gain nothing that a packet would notice. */
const GZIP_MIN_BYTES = 1024;

/** One element of an Accept or Accept-Encoding header. */
interface Preference {
  /** In lower case. */
  value: string;
  q: number;
  parameters: ReadonlyMap<string, string>;
}

/**
 * Format for an `Accept` header. OpenMetrics only for those who name it; everything else, and nothing at all, gives
 * the text format, which a person can read and any collector can parse.
 */
export function negotiateFormat(accept: string | undefined): TextFormat {
  const preferences = parsePreferences(accept);
  const at = bestOf(preferences, 'application/openmetrics-text', ['', '1.0.0']);
  if (at === -1) return 'text';
  const { q } = preferences[at];
  const textAt = bestOf(preferences, 'text/plain', ['', '0.0.4']);
  if (textAt === -1) return 'openmetrics';
  const textQ = preferences[textAt].q;
  return q > textQ || (q === textQ && at < textAt) ? 'openmetrics' : 'text';
}

/** Index of the element that wants a media type most, in one of these versions; -1 where none does. */
function bestOf(preferences: readonly Preference[], type: string, versions: readonly string[]): number {
  let best = -1;
  for (let i = 0; i < preferences.length; i++) {
    const { value, q, parameters } = preferences[i];
    if (value !== type || q === 0 || !versions.includes(parameters.get('version') ?? '')) continue;
    if (best === -1 || q > preferences[best].q) best = i;
  }
  return best;
}

/** Whether an `Accept-Encoding` header allows gzip: named, or by `*`, with a q above 0. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const preferences = parsePreferences(acceptEncoding);
  const named = preferences.find(({ value }) => value === 'gzip' || value === 'x-gzip');
  const best = named ?? preferences.find(({ value }) => value === '*');
  return best !== undefined && best.q > 0;
}

const gzipAsync = promisify(gzip);

/** The body as it goes out: compressed at level 1, in a thread of Node's pool, where it is allowed and pays. */
export async function encodeBody(
  body: Buffer<ArrayBuffer>,
  acceptEncoding: string | undefined,
): Promise<{ body: Buffer<ArrayBuffer>; encoding: 'gzip' | undefined }> {
  if (body.length < GZIP_MIN_BYTES || !acceptsGzip(acceptEncoding)) return { body, encoding: undefined };
  return { body: await gzipAsync(body, { level: constants.Z_BEST_SPEED }), encoding: 'gzip' };
}

/** Splits `a;x=1;q=0.5, b`. Malformed q-values count as 0: whoever sent one cannot have meant "best". */
function parsePreferences(header: string | undefined): Preference[] {
  const preferences: Preference[] = [];
  for (const element of (header ?? '').split(',')) {
    const [value, ...rest] = element.split(';').map((part) => part.trim().toLowerCase());
    if (value === '') continue;
    const parameters = new Map<string, string>();
    for (const part of rest) {
      const equals = part.indexOf('=');
      if (equals === -1) continue;
      const text = part.slice(equals + 1).trim();
      parameters.set(part.slice(0, equals).trim(), text.replace(/^"(.*)"$/, '$1'));
    }
    const q = parameters.get('q');
    preferences.push({
      value,
      parameters,
      q: q === undefined ? 1 : /^(0(\.\d*)?|1(\.0*)?)$/.test(q) ? Number(q) : 0,
    });
  }
  return preferences;
}
