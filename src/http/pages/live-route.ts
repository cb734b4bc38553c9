/** `/api/v1/live`: server-sent events. The first is `hello`, then follows one `column` per second. */
import type { Request, Response } from 'express';
import { liveColumn } from '../../history/query.ts';
import { sendText } from '../server/respond.ts';
import { eventText, type Streams } from '../server/streams.ts';
import { type HttpDeps, NO_HISTORY } from './deps.ts';

export function liveRoute(deps: HttpDeps, streams: Streams): (request: Request, response: Response) => void {
  const { history } = deps;
  // If this time differs after a reconnection, a client knows that the agent was restarted.
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
      sendText(response, 404, NO_HISTORY);
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
