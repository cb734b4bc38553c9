/**
 * Limits the CPU time and the memory of responses. Disconnects slow clients if unread responses use too much memory. If
 * this does not help, sends a 503 instead of a new response.
 */
import type { ServerResponse } from 'node:http';
import type { RefusalReason, Refusals } from './refusals.ts';
import { isSlow, PIECE_BYTES, send, sendText } from './respond.ts';

/** Maximum memory of unread responses: enough for four very large scrape responses. */
const MAX_HELD_BYTES = 48 << 20;

/** How long a scrape waits for memory. Prometheus times out after 10 s by default. */
const WAIT_MS = 5_000;

const RETRY_AFTER_S = 5;

/** Sends a whole body like `send` of respond.ts. Sends a 503 instead if the body does not fit into memory. */
export type SendAnswer = typeof send;

export interface Answers {
  /** If too many responses are already in progress, sends a 503 and returns false. */
  begin(response: ServerResponse): boolean;
  send: SendAnswer;
  /** Resolves when a response of this size fits into memory, or after `WAIT_MS`. Call it before making a response. */
  room(bytes: number): Promise<void>;
}

/** `atOnce` limits the responses in progress; 0 means no limit. */
export function createAnswers(
  atOnce: number,
  refusals: Refusals,
  maxHeldBytes = MAX_HELD_BYTES,
  slow: (response: ServerResponse) => boolean = isSlow,
): Answers {
  const open = new Set<ServerResponse>();
  /** Bodies that are still being sent, oldest first. Several responses can share a body. */
  const held = new Map<Buffer, Set<ServerResponse>>();
  /** Callbacks of scrapes that wait for memory. Called when no client needs a body any longer. */
  const waiting = new Set<() => void>();

  const refuse = (response: ServerResponse, reason: RefusalReason, text: string) => {
    refusals.count(reason, { client: response.socket?.remoteAddress });
    response.removeHeader('Content-Encoding');
    response.setHeader('Retry-After', RETRY_AFTER_S);
    sendText(response, 503, `no answer: ${text}`);
  };

  const release = (body: Buffer, response: ServerResponse) => {
    const takers = held.get(body);
    takers?.delete(response);
    if (takers?.size !== 0) return;
    held.delete(body);
    for (const wake of waiting) wake();
  };

  /** Disconnects all clients of a body, to free its memory. The caller checks first that all are slow. */
  const cutOff = (body: Buffer, takers: ReadonlySet<ServerResponse>) => {
    held.delete(body);
    for (const response of [...takers]) {
      refusals.count('slow_reader', { client: response.socket?.remoteAddress });
      response.destroy();
    }
  };

  /** Disconnects slow clients until a body fits, and returns whether it fits. Without other bodies, any body fits. */
  const findRoom = (bytes: number): boolean => {
    let heldBytes = 0;
    for (const body of held.keys()) heldBytes += body.length;
    for (const [body, takers] of [...held]) {
      if (heldBytes + bytes <= maxHeldBytes) break;
      if (![...takers].every(slow)) continue;
      cutOff(body, takers);
      heldBytes -= body.length;
    }
    return held.size === 0 || heldBytes + bytes <= maxHeldBytes;
  };

  return {
    begin: (response) => {
      let making = 0;
      for (const other of open) if (!other.headersSent) making++;
      if (atOnce > 0 && making >= atOnce) {
        refuse(response, 'max_requests', `${atOnce} requests are in progress already (--web.max-requests)`);
        return false;
      }
      open.add(response);
      response.once('close', () => open.delete(response));
      return true;
    },
    send: (response, status, contentType, body) => {
      const bytes = typeof body === 'string' ? Buffer.from(body) : body;
      // Small bodies fit into the socket's buffer. Closed responses emit no `close` event, and would stay in `held`.
      if (bytes.length > PIECE_BYTES && !response.destroyed) {
        if (!held.has(bytes) && !findRoom(bytes.length)) {
          refuse(response, 'memory', 'slow clients use up the memory for answers: try again later');
          return;
        }
        const takers = held.get(bytes) ?? new Set();
        held.set(bytes, takers.add(response));
        response.once('close', () => release(bytes, response));
      }
      send(response, status, contentType, bytes);
    },
    room: (bytes) => {
      if (bytes <= PIECE_BYTES || findRoom(bytes)) return Promise.resolve();
      const { promise, resolve } = Promise.withResolvers<void>();
      const end = () => {
        clearTimeout(timer);
        waiting.delete(wake);
        resolve();
      };
      const wake = () => {
        if (findRoom(bytes)) end();
      };
      const timer = setTimeout(end, WAIT_MS).unref();
      waiting.add(wake);
      return promise;
    },
  };
}
