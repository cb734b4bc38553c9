/** `/api/v1/latency/TRACER`: the worst records of a latency tracer as JSON, each with the kernel's trace. */

import type { Request, Response } from 'express';
import { reasonOf } from '../../model/errors.ts';
import type { SendAnswer } from '../server/answers.ts';
import { sendText } from '../server/respond.ts';
import type { HttpDeps } from './deps.ts';

export function latencyRoute(
  deps: HttpDeps,
  send: SendAnswer,
): (request: Request, response: Response) => Promise<void> {
  return async (request, response) => {
    const tracer = String(request.params.tracer);
    try {
      const records = await deps.latency(tracer);
      if (records === undefined) {
        sendText(response, 404, 'no latency tracer with this name is enabled');
        return;
      }
      const document = {
        tracer,
        records: records.map(({ latencyNs, atMs, trace }) => ({
          latency_seconds: latencyNs / 1e9,
          at: new Date(atMs).toISOString(),
          trace,
        })),
      };
      send(response, 200, 'application/json; charset=utf-8', `${JSON.stringify(document, undefined, 2)}\n`);
    } catch (error) {
      sendText(response, 503, `the capture thread does not answer: ${reasonOf(error)}`);
    }
  };
}
