/**
 * Answers that do not end: server-sent events. All clients get the same messages. At most one unread message is kept
 * for each client: a client that reads too slowly misses messages, and one that does not read is disconnected.
 * Specification: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import type { ServerResponse } from 'node:http';
import type { Refusals } from './refusals.ts';
import { sendText } from './respond.ts';

export const MAX_STREAMS = 50;
/** Longer than any pause of a working client, and shorter than the server's limit for silent connections. */
const STALLED_MS = 30_000;
/** A comment keeps an otherwise silent connection open. */
const HEARTBEAT_MS = 15_000;
/** A browser reconnects after this time. */
const RETRY_MS = 2000;

export interface Streams {
  /** Starts a stream with a first message, or sends a 503 if there are too many streams. */
  open(response: ServerResponse, first: string): void;
  /** Sends a message to all clients that have read the previous one. Calls `make` only if there is such a client. */
  send(make: () => string): void;
  size(): number;
  /** Ends all streams, and refuses new ones. */
  close(): void;
}

export function createStreams(
  refusals: Refusals,
  { max = MAX_STREAMS, stalledMs = STALLED_MS, now = () => performance.now() } = {},
): Streams {
  /** Each client, with the time since which it has an unread message; undefined if it has none. */
  const clients = new Map<ServerResponse, number | undefined>();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const write = (response: ServerResponse, text: string) => {
    if (!response.writableNeedDrain) {
      clients.set(response, undefined);
      response.write(text);
      return;
    }
    const since = clients.get(response) ?? now();
    clients.set(response, since);
    if (now() - since < stalledMs) return;
    refusals.count('slow_reader', { client: response.socket?.remoteAddress });
    response.destroy();
  };

  return {
    open: (response, first) => {
      if (closed || clients.size >= max) {
        refusals.count('streams', { client: response.socket?.remoteAddress });
        response.setHeader('Retry-After', 5);
        sendText(response, 503, `cannot open a stream: ${max} are already open`);
        return;
      }
      response.statusCode = 200;
      response.setHeader('Content-Type', 'text/event-stream; charset=utf-8');
      // Otherwise proxies such as nginx would delay messages.
      response.setHeader('X-Accel-Buffering', 'no');
      if (response.req.method === 'HEAD') {
        response.end();
        return;
      }
      clients.set(response, undefined);
      timer ??= setInterval(() => {
        for (const client of clients.keys()) write(client, ': still here\n\n');
      }, HEARTBEAT_MS).unref();
      response.once('close', () => {
        clients.delete(response);
        if (clients.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      });
      response.write(`retry: ${RETRY_MS}\n\n${first}`);
    },
    send: (make) => {
      if (clients.size === 0) return;
      const text = make();
      for (const client of clients.keys()) write(client, text);
    },
    size: () => clients.size,
    close: () => {
      closed = true;
      for (const client of clients.keys()) client.end();
    },
  };
}

/** Formats a message. JSON contains no line breaks outside of strings, which escape them. */
export function eventText(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
