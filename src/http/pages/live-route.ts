/** `/api/v1/live`: a stream of server-sent events. Each event contains the last second of all metrics. */
import type { Request, Response } from 'express';
import { liveColumn } from '../../history/query.ts';
import { sendText } from '../server/respond.ts';
import { eventText, type Streams } from '../server/streams.ts';
import type { HttpDeps } from './deps.ts';

export function liveRoute(deps: HttpDeps, streams: Streams): (request: Request, response: Response) => void {
  const { history } = deps;
  // A client that reconnects compares this time to notice a restart of the agent.
  const startedMs = Date.now();
  history?.onColumn?.((column) =>
    streams.send(() =>
      eventText('column', {
        ...liveColumn(column, history.data.catalogue.families()),
        reason: deps.ready().reason,
      }),
    ),
  );
  return (_request, response) => {
    if (history === undefined) {
      sendText(response, 404, 'the history is off: history.enabled is false in the config');
      return;
    }
    const hello = {
      version: deps.version,
      source: deps.source(),
      axis: history.data.axis,
      started: startedMs,
      ...deps.ready(),
    };
    streams.open(response, eventText('hello', hello));
  };
}
