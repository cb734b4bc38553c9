/** `/metrics`: renders snapshots of all stores. Requests that arrive during a rendering share the next one. */

import { setImmediate } from 'node:timers/promises';
import type { Request, Response } from 'express';
import {
  acceptsGzip,
  CONTENT_TYPES,
  type ExpositionFormat,
  encodeBody,
  negotiateFormat,
} from '../../export/exposition/negotiate.ts';
import { createProtobufRenderer } from '../../export/exposition/protobuf.ts';
import { createRenderer } from '../../export/exposition/text.ts';
import type { SampleFamily } from '../../export/sample-family.ts';
import { reasonOf } from '../../model/errors.ts';
import type { Answers } from '../server/answers.ts';
import { sendText } from '../server/respond.ts';
import { createShared } from '../server/shared.ts';
import type { HttpDeps } from './deps.ts';

export function metricsRoute(
  deps: HttpDeps,
  { send, room }: Pick<Answers, 'send' | 'room'>,
): (request: Request, response: Response) => Promise<void> {
  const { constantLabels, exemplars } = deps;
  const options = { constantLabels, exemplars };
  const text = createRenderer(options);
  const protobuf = createProtobufRenderer(options);

  const processFamilies = async (): Promise<readonly SampleFamily[]> => {
    try {
      return await deps.processMetrics();
    } catch (error) {
      deps.log.warn(
        { reason: reasonOf(error) },
        'answered a scrape without the process_* and nodejs_* metrics',
      );
      return [];
    }
  };

  /** Size of the last response, by format and compression. The next response will have about the same size. */
  const lastBytes = new Map<string, number>();
  const scrape = createShared(async (kind: string) => {
    // Wait until the callers of the previous computation have passed its response to `send`. Otherwise `room` would not
    // count the memory of that response.
    await setImmediate();
    // Requests that arrive during this wait get the next response, not this one.
    await room(lastBytes.get(kind) ?? 0);
    const [format, gzip] = kind.split(' ') as [ExpositionFormat, string];
    const [snapshots, foreign] = await Promise.all([deps.scrape(), processFamilies()]);
    const rendered =
      format === 'protobuf' ? protobuf.render(snapshots, foreign) : text.render(snapshots, format, foreign);
    const encoded = await encodeBody(rendered, gzip);
    lastBytes.set(kind, encoded.body.length);
    return encoded;
  });

  return async (request, response) => {
    const format = negotiateFormat(request.headers.accept);
    const gzip = acceptsGzip(request.headers['accept-encoding']?.toString()) ? 'gzip' : 'identity';
    response.setHeader('Vary', 'Accept, Accept-Encoding');
    try {
      const { body, encoding } = await scrape(`${format} ${gzip}`);
      if (encoding !== undefined) response.setHeader('Content-Encoding', encoding);
      send(response, 200, CONTENT_TYPES[format], body);
    } catch (error) {
      deps.log.error({ reason: reasonOf(error) }, 'could not answer a scrape');
      sendText(response, 503, `no metrics: ${reasonOf(error)}`);
    }
  };
}
