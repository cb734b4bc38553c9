/** `/api/v1/history`: the last minutes of a metric as JSON, or the list of metrics if the URL has no query. */
import type { Request, Response } from 'express';
import { encodeBody } from '../../export/exposition/negotiate.ts';
import type { HistoryData } from '../../history/history.ts';
import { type HistoryQuery, historyIndex, queryHistory } from '../../history/query.ts';
import type { SendAnswer } from '../server/answers.ts';
import { sendText } from '../server/respond.ts';
import { type HttpDeps, NO_HISTORY } from './deps.ts';

const LIMIT = 20;
const MAX_LIMIT = 1000;

export function historyRoute(
  deps: HttpDeps,
  send: SendAnswer,
): (request: Request, response: Response) => Promise<void> {
  return async (request, response) => {
    if (deps.history === undefined) {
      sendText(response, 404, NO_HISTORY);
      return;
    }
    const query = readQuery(request.url, deps.history.data);
    if (typeof query === 'string') {
      sendText(response, 400, query);
      return;
    }
    const document = query === undefined ? historyIndex(deps.history.data) : queryHistory(query);
    const json = Buffer.from(`${JSON.stringify(document)}\n`);
    const { body, encoding } = await encodeBody(json, request.headers['accept-encoding']?.toString());
    response.setHeader('Vary', 'Accept-Encoding');
    if (encoding !== undefined) response.setHeader('Content-Encoding', encoding);
    send(response, 200, 'application/json; charset=utf-8', body);
  };
}

/** Parses the query of a URL. Returns undefined if it has no parameters, or an error message if it is wrong. */
function readQuery(url: string, data: HistoryData): HistoryQuery | string | undefined {
  const at = url.indexOf('?');
  const parameters = new URLSearchParams(at < 0 ? '' : url.slice(at + 1));
  for (const name of new Set(parameters.keys())) {
    if (!KNOWN.includes(name)) return `unknown parameter ${JSON.stringify(name)}: use ${KNOWN.join(', ')}`;
    if (name !== 'where' && parameters.getAll(name).length > 1)
      return `the parameter ${JSON.stringify(name)} occurs twice`;
  }
  const metric = parameters.get('metric');
  if (metric === null) return parameters.size === 0 ? undefined : 'metric: must be the name of a metric';
  const family = data.catalogue.find(metric);
  if (family === undefined)
    return 'metric: must be one of the counters and histograms that /api/v1/history lists';
  const { labels } = family.spec;
  const noLabel = `${metric} has ${labels.length === 0 ? 'no labels' : `the labels ${labels.join(', ')}`}`;

  const name = parameters.get('resolution') ?? data.rings[0].name;
  const ring = data.rings.find((one) => one.name === name);
  if (ring === undefined) return `resolution must be ${data.rings.map((one) => one.name).join(' or ')}`;

  const by = (parameters.get('by') ?? '').split(',').filter((label) => label !== '');
  if (by.some((label) => !labels.includes(label))) return `by: ${noLabel}`;

  const where = parameters.getAll('where').map((text) => splitPair(text));
  if (where.some(([label]) => !labels.includes(label)))
    return `where: must be label:value, as in device:sda; ${noLabel}`;

  const [since, until] = (['since', 'until'] as const).map((key) => numberOf(parameters.get(key)));
  if (since === null || until === null) return 'since, until: must be times in milliseconds';

  const limit = numberOf(parameters.get('limit')) ?? (parameters.has('limit') ? 0 : LIMIT);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    return `limit: must be a whole number from 1 to ${MAX_LIMIT}`;

  const fold = parameters.get('fold') ?? 'false';
  if (fold !== 'true' && fold !== 'false') return 'fold: must be true or false';
  return { family, ring, by, where, sinceMs: since, untilMs: until, limit, fold: fold === 'true' };
}

const KNOWN = ['metric', 'resolution', 'by', 'where', 'since', 'until', 'limit', 'fold'];

function splitPair(text: string): [label: string, value: string] {
  const colon = text.indexOf(':');
  return colon < 0 ? ['', text] : [text.slice(0, colon), text.slice(colon + 1)];
}

/** Returns undefined for a missing value, and null for a value that is not a number. */
function numberOf(text: string | null): number | undefined | null {
  if (text === null) return undefined;
  return /^-?\d{1,16}(\.\d{1,6})?$/.test(text) ? Number(text) : null;
}
