/** `/-/reload` (POST or PUT): reloads the config. Prometheus has the same endpoint. */
import type { Request, Response } from 'express';
import { sendText } from '../server/respond.ts';
import type { HttpDeps } from './deps.ts';

export function reloadRoute(
  deps: Pick<HttpDeps, 'reload'>,
): (request: Request, response: Response) => Promise<void> {
  return async (_request, response) => {
    const { reload } = deps;
    if (typeof reload === 'string') {
      sendText(response, 403, reload);
      return;
    }
    const refused = await reload();
    if (refused === '') sendText(response, 200, 'config reloaded');
    else sendText(response, 500, `config not reloaded: ${refused}`);
  };
}
