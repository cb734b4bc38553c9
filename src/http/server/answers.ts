/**
 * Answers in the making and on their way. Making one costs the node: at most so many at once, `--web.max-requests`.
 * One that its client does not take costs memory: past a limit those that have been waiting longest are cut off, so
 * that a client that takes its answer is never refused for those that do not.
 */
import type { ServerResponse } from 'node:http';
import type { Refusals } from './refusals.ts';
import { sendText } from './respond.ts';

const MAX_UNSENT_BYTES = 16 << 20;

export interface Answers {
  /** Whether one more may be made; when not, the request has been answered. */
  begin(response: ServerResponse): boolean;
}

/** `atOnce` 0: no limit. */
export function createAnswers(
  atOnce: number,
  refusals: Refusals,
  maxUnsentBytes = MAX_UNSENT_BYTES,
): Answers {
  /** The eldest first. */
  const open = new Set<ServerResponse>();
  return {
    begin: (response) => {
      let making = 0;
      let unsentBytes = 0;
      for (const other of open) {
        if (other.writableEnded) unsentBytes += other.writableLength;
        else making++;
      }
      if (atOnce > 0 && making >= atOnce) {
        refusals.count('max_requests');
        response.setHeader('Retry-After', '5');
        sendText(response, 503, `no answer: ${atOnce} requests are under way (--web.max-requests)`);
        return false;
      }
      for (const other of open) {
        if (unsentBytes <= maxUnsentBytes) break;
        if (!other.writableEnded || other.writableLength === 0) continue;
        unsentBytes -= other.writableLength;
        refusals.count('slow_reader', { client: other.socket?.remoteAddress });
        other.destroy();
      }
      open.add(response);
      response.once('close', () => open.delete(response));
      return true;
    },
  };
}
