/** `/api/v1/slow`: returns traces of slow operations as JSON trees, or in the format of perfetto.ts. */
import type { Request, Response } from 'express';
import type { SendAnswer } from '../server/answers.ts';
import { sendText } from '../server/respond.ts';
import type { HttpDeps, SlowOperations } from './deps.ts';
import { perfettoJson } from './perfetto.ts';
import { treeOf } from './slow-json.ts';
import { readSlowQuery, type SlowQuery, searchSlow } from './slow-query.ts';

export function slowRoute(deps: HttpDeps, send: SendAnswer): (request: Request, response: Response) => void {
  return (request, response) => {
    const { traces } = deps;
    if (traces === undefined) {
      sendText(response, 404, 'slow operations are not traced; enable kinds with spans.kinds in the config');
      return;
    }
    const query = readSlowQuery(request.url, traces);
    if (typeof query === 'string') {
      sendText(response, 400, query);
      return;
    }
    const { traceId, kind, limit } = query;
    if (query.format === 'perfetto' && traceId !== undefined) {
      response.setHeader('Content-Disposition', `attachment; filename="trace-${traceId}.json"`);
      send(response, 200, 'application/json; charset=utf-8', perfettoJson(traces.find(traceId, kind, limit)));
      return;
    }
    const document = { kinds: traces.kinds, ...treesOf(traces, query) };
    send(response, 200, 'application/json; charset=utf-8', `${JSON.stringify(document, undefined, 2)}\n`);
  };
}

function treesOf(traces: SlowOperations, { kind, limit, traceId, search }: SlowQuery) {
  if (traceId !== undefined) return { traces: traces.find(traceId, kind, limit).map(treeOf) };
  if (search !== undefined) return { traces: searchSlow(traces, kind, search).slice(0, limit).map(treeOf) };
  const { last, slowest } = traces.slow(kind, limit);
  return { last: last.map(treeOf), slowest: slowest.map(treeOf) };
}
