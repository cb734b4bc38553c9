/** Parses the parameters of `/api/v1/slow`, and finds the traces that match them. */
import type { SpanKind, SpanRecord, TraceRecord } from '../../model/span.ts';
import type { SlowOperations } from './deps.ts';

const LIMIT = 10;
const MAX_LIMIT = 100;
const MAX_TEXT = 200;
const PARAMETERS = [
  'kind',
  'limit',
  'trace_id',
  'format',
  'q',
  'min',
  'metric',
  'over',
  'upto',
  'since',
  'until',
] as const;
type Parameter = (typeof PARAMETERS)[number];

export interface SlowQuery {
  kind: SpanKind | undefined;
  limit: number;
  /** 32 hex digits. */
  traceId: string | undefined;
  format: 'json' | 'perfetto';
  /** Undefined if the request has no search parameter. */
  search: Search | undefined;
}

interface Search {
  /** Text in lower case. A name, attribute, error, kind, trace ID or resource attribute must contain this text. */
  text: string;
  minNs: number;
  /** If set, a trace must have an exemplar of this histogram with `overNs` < value <= `uptoNs`. */
  metric: string | undefined;
  overNs: number;
  uptoNs: number;
  /** Unix times in milliseconds. The root span must end between them, inclusive. */
  sinceMs: number;
  untilMs: number;
}

/** Parses the query of a URL. Returns an error message if the query is wrong. */
export function readSlowQuery(url: string, { kinds }: SlowOperations): SlowQuery | string {
  const at = url.indexOf('?');
  const values = new Map<Parameter, string>();
  for (const [name, value] of new URLSearchParams(at < 0 ? '' : url.slice(at + 1))) {
    const parameter = PARAMETERS.find((one) => one === name);
    if (parameter === undefined)
      return `unknown parameter ${JSON.stringify(name)}: use ${PARAMETERS.join(', ')}, as in ?kind=syscalls&limit=5`;
    if (values.has(parameter)) return `the parameter ${JSON.stringify(name)} occurs twice`;
    values.set(parameter, value);
  }
  const kindName = values.get('kind');
  const kind = kinds.find((one) => one === kindName);
  if (kindName !== undefined && kind === undefined)
    return `kind must be an enabled kind: ${kinds.join(', ')}`;
  const limitText = values.get('limit') ?? String(LIMIT);
  const limit = /^\d{1,3}$/.test(limitText) ? Number(limitText) : 0;
  if (limit < 1 || limit > MAX_LIMIT) return `limit must be a whole number from 1 to ${MAX_LIMIT}`;
  const traceId = values.get('trace_id');
  if (traceId !== undefined && !/^[0-9a-f]{32}$/i.test(traceId)) return 'trace_id must be 32 hex digits';
  const format = values.get('format') ?? 'json';
  if (format !== 'json' && format !== 'perfetto') return 'format must be json or perfetto';
  if (format === 'perfetto' && traceId === undefined) return 'format=perfetto requires trace_id';
  const search = readSearch(values);
  if (typeof search === 'string') return search;
  return { kind, limit, traceId: traceId?.toLowerCase(), format, search };
}

function readSearch(values: ReadonlyMap<Parameter, string>): Search | string | undefined {
  const names = ['q', 'min', 'metric', 'over', 'upto', 'since', 'until'] as const;
  if (!names.some((name) => values.has(name))) return undefined;
  for (const name of ['min', 'over', 'upto', 'since', 'until'] as const) {
    const text = values.get(name);
    if (text !== undefined && !/^\d{1,16}(\.\d{1,20})?(e-?\d{1,2})?$/.test(text))
      return name === 'since' || name === 'until'
        ? `${name} must be a time in milliseconds`
        : `${name} must be a number of seconds`;
  }
  const text = values.get('q') ?? '';
  if (text.length > MAX_TEXT) return `q must have at most ${MAX_TEXT} characters`;
  const numberOf = (name: Parameter, fallback: number) => Number(values.get(name) ?? fallback);
  return {
    text: text.toLowerCase(),
    minNs: numberOf('min', 0) * 1e9,
    metric: values.get('metric'),
    overNs: numberOf('over', -1) * 1e9,
    uptoNs: numberOf('upto', Number.POSITIVE_INFINITY) * 1e9,
    sinceMs: numberOf('since', 0),
    untilMs: numberOf('until', Number.POSITIVE_INFINITY),
  };
}

/** Returns matching traces in descending order of `weightNs`. Traces whose root span contains the text come first. */
export function searchSlow(
  traces: SlowOperations,
  kind: SpanKind | undefined,
  search: Search,
): TraceRecord[] {
  const { last, slowest } = traces.slow(kind, Number.POSITIVE_INFINITY);
  const matching = [...new Set([...slowest, ...last])]
    .filter((trace) => matches(trace, search))
    .sort((a, b) => b.weightNs - a.weightNs);
  const { true: own = [], false: others = [] } = Object.groupBy(matching, (trace) =>
    String(contains(textsOfRoot(trace), search.text)),
  );
  return [...own, ...others];
}

function matches(trace: TraceRecord, search: Search): boolean {
  const [root] = trace.spans;
  const endMs = root.end[0] * 1000 + root.end[1] / 1e6;
  if (root.durationNs < search.minNs || endMs < search.sinceMs || endMs > search.untilMs) return false;
  const isExample = ({ metric, valueNs }: TraceRecord['exemplars'][number]) =>
    metric === search.metric && valueNs > search.overNs && valueNs <= search.uptoNs;
  if (search.metric !== undefined && !trace.exemplars.some(isExample)) return false;
  return contains([...textsOfRoot(trace), ...trace.spans.flatMap(textsOf)], search.text);
}

function contains(texts: readonly string[], text: string): boolean {
  return texts.some((one) => one.toLowerCase().includes(text));
}

/** Returns texts of the operation itself. Omits `ftrace.` attributes, because some contain names of other tasks. */
function textsOfRoot({ kind, traceId, spans, resource }: TraceRecord): string[] {
  const [{ name, error = '', attributes }] = spans;
  const own = Object.keys(attributes).filter((attribute) => !attribute.startsWith('ftrace.'));
  const values = own.map((attribute) => String(attributes[attribute]));
  return [kind, traceId, name, error, ...values, ...Object.values(resource)];
}

function textsOf({ name, error, attributes }: SpanRecord): string[] {
  return [name, error ?? '', ...Object.values(attributes).map(String)];
}
