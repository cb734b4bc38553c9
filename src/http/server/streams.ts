/** Sends the same server-sent events to all clients. A slow client misses messages. Disconnects stalled clients. */
import type { ServerResponse } from 'node:http';
import type { Refusals } from './refusals.ts';
import { sendText } from './respond.ts';

export const MAX_STREAMS = 50;
/** A client with a full send buffer is disconnected after this long. Must be shorter than `stalledMs` of listen.ts. */
const STALLED_MS = 30_000;
/** Interval of the comment lines that keep an idle connection open. */
const HEARTBEAT_MS = 15_000;
/** Browsers reconnect this long after they have lost the connection. */
const RETRY_MS = 2000;

export interface Streams {
  /** Starts a stream with the message `first`, or sends a 503 if there are too many streams or after `close`. */
  open(response: ServerResponse, first: string): void;
  /** Sends a message to all clients whose send buffer is not full. Calls `make` only if there are clients. */
  send(make: () => string): void;
  size(): number;
  /** Ends all streams, and refuses new ones. */
  close(): void;
}

export function createStreams(
  refusals: Refusals,
  { max = MAX_STREAMS, stalledMs = STALLED_MS, now = () => performance.now() } = {},
): Streams {
  /** When (ms) we first found the client's send buffer full; undefined if it was not full at the last write. */
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
        if (!closed) refusals.count('streams', { client: response.socket?.remoteAddress });
        response.setHeader('Retry-After', 5);
        const reason = closed ? 'the agent is stopping' : `${max} are already open`;
        sendText(response, 503, `cannot open a stream: ${reason}`);
        return;
      }
      response.statusCode = 200;
      response.setHeader('Content-Type', 'text/event-stream; charset=utf-8');
      // Without this header, proxies such as nginx would buffer messages.
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

/** Formats a message. The JSON contains no line breaks, which would end the field `data`. */
export function eventText(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
