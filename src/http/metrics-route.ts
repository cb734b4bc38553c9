/** `/metrics`: negotiates format and compression, asks the stores, renders. */
import type { Request, Response } from 'express';
import { CONTENT_TYPES, encodeBody, negotiateFormat } from '../export/negotiate.ts';
import { createRenderer } from '../export/prometheus-text.ts';
import { createProtobufRenderer } from '../export/protobuf.ts';
import type { SampleFamily } from '../export/sample-family.ts';
import { type HttpDeps, messageOf } from './deps.ts';
import { createGate } from './gate.ts';
import { send, sendText } from './respond.ts';

/** The others wait; how many there can be at all is for `answers.ts` to say. */
const SCRAPES_AT_ONCE = 3;

export function metricsRoute(deps: HttpDeps): (request: Request, response: Response) => Promise<void> {
  const text = createRenderer({ constantLabels: deps.constantLabels });
  const protobuf = createProtobufRenderer({ constantLabels: deps.constantLabels });
  const gate = createGate(SCRAPES_AT_ONCE);

  const processFamilies = async (): Promise<readonly SampleFamily[]> => {
    try {
      return await deps.processMetrics();
    } catch (error) {
      deps.log.warn({ reason: messageOf(error) }, 'a scrape goes without the metrics of the process');
      return [];
    }
  };

  const answer = async (request: Request, response: Response) => {
    const format = negotiateFormat(request.headers.accept);
    response.setHeader('Vary', 'Accept, Accept-Encoding');
    try {
      const [snapshots, foreign] = await Promise.all([deps.scrape(), processFamilies()]);
      const rendered =
        format === 'protobuf' ? protobuf.render(snapshots, foreign) : text.render(snapshots, format, foreign);
      const { body, encoding } = await encodeBody(rendered, request.headers['accept-encoding']?.toString());
      if (encoding !== undefined) response.setHeader('Content-Encoding', encoding);
      send(response, 200, CONTENT_TYPES[format], body);
    } catch (error) {
      deps.log.error({ reason: messageOf(error) }, 'a scrape failed');
      sendText(response, 503, `no metrics: ${messageOf(error)}`);
    }
  };

  return async (request, response) => {
    const leave = await gate.enter();
    try {
      // Whoever gave up while waiting needs no answer.
      if (!response.closed) await answer(request, response);
    } finally {
      leave();
    }
  };
}
