/** Chooses format and compression from the Accept headers (RFC 9110, 12.5). The parameter `escaping` is ignored. */
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import type { TextFormat } from './series-lines.ts';

export type ExpositionFormat = TextFormat | 'protobuf';

export const CONTENT_TYPES: Readonly<Record<ExpositionFormat, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  protobuf: 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited',
};

/** Bodies below this size are not compressed, because they fit into one packet anyway. */
const GZIP_MIN_BYTES = 1024;

/** One element of an Accept or Accept-Encoding header, in lower case. */
interface Preference {
  value: string;
  q: number;
  parameters: ReadonlyMap<string, string>;
}

/** Returns the supported format with the highest q; the first of equals. Ignores wildcards. The default is text. */
export function negotiateFormat(accept: string | undefined): ExpositionFormat {
  let best: ExpositionFormat = 'text';
  let bestQ = 0;
  for (const preference of parsePreferences(accept)) {
    const format = preference.q > bestQ ? formatOf(preference) : undefined;
    if (format === undefined) continue;
    best = format;
    bestQ = preference.q;
  }
  return best;
}

/** Returns undefined for a media type or version that we don't serve. */
function formatOf({ value, parameters }: Preference): ExpositionFormat | undefined {
  const version = parameters.get('version') ?? '';
  switch (value) {
    case 'text/plain':
      return version === '' || version === '0.0.4' ? 'text' : undefined;
    case 'application/openmetrics-text':
      return version === '' || version === '1.0.0' ? 'openmetrics' : undefined;
    case 'application/vnd.google.protobuf': {
      const ours =
        parameters.get('proto') === 'io.prometheus.client.metricfamily' &&
        parameters.get('encoding') === 'delimited';
      return ours ? 'protobuf' : undefined;
    }
    default:
      return undefined;
  }
}

/** Whether an `Accept-Encoding` header accepts gzip. The q of `*` counts only if gzip is not listed. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const preferences = parsePreferences(acceptEncoding);
  const named = preferences.find(({ value }) => value === 'gzip' || value === 'x-gzip');
  const best = named ?? preferences.find(({ value }) => value === '*');
  return best !== undefined && best.q > 0;
}

const gzipAsync = promisify(gzip);

/** Compresses the body at level 1 in a thread of Node's pool, if the client allows it and the body is large enough. */
export async function encodeBody(
  body: Buffer<ArrayBuffer>,
  acceptEncoding: string | undefined,
): Promise<{ body: Buffer<ArrayBuffer>; encoding: 'gzip' | undefined }> {
  if (body.length < GZIP_MIN_BYTES || !acceptsGzip(acceptEncoding)) return { body, encoding: undefined };
  return { body: await gzipAsync(body, { level: constants.Z_BEST_SPEED }), encoding: 'gzip' };
}

/** Parses a header such as `a;x=1;q=0.5, b`. A malformed q-value counts as 0. */
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
