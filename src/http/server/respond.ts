/** Sends responses, and sets the headers that all responses have. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { PAGE_STYLE } from './page-style.ts';

const STYLE_HASH = createHash('sha256').update(PAGE_STYLE).digest('base64');

/** Allows the page to load only from the agent, except for `data:` images and the inline style sheet. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  `style-src 'self' 'sha256-${STYLE_HASH}'`,
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Sets the headers of every response. Headers of the web config (`chosen`) override ours. */
export function commonHeaders(
  response: ServerResponse,
  chosen: readonly (readonly [name: string, value: string])[],
): void {
  response.setHeader('Content-Security-Policy', CONTENT_SECURITY_POLICY);
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Referrer-Policy', 'no-referrer');
  response.setHeader('Cache-Control', 'no-store');
  for (const [name, value] of chosen) response.setHeader(name, value);
}

/** Bytes per write. TLS copies written bytes for each client, so the pieces are small. */
export const PIECE_BYTES = 64 << 10;
/** A client that reads less than one piece within `SLOW_MS` is slow, and may be disconnected. */
export const SLOW_MS = 5_000;
/** When we last wrote a piece of each response. */
const tookAtMs = new WeakMap<ServerResponse, number>();

/** Returns whether the client has not read a piece for `SLOW_MS`. False before the first piece. */
export function isSlow(response: ServerResponse, nowMs = performance.now()): boolean {
  const atMs = tookAtMs.get(response);
  return atMs !== undefined && nowMs - atMs >= SLOW_MS;
}

/** Sends a whole body as fast as the client reads. The caller must not change `body` until the response closes. */
export function send(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string | Buffer,
): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  response.statusCode = status;
  response.setHeader('Content-Type', contentType);
  response.setHeader('Content-Length', bytes.length);
  let at = 0;
  const next = (): void => {
    if (response.destroyed) return;
    tookAtMs.set(response, performance.now());
    const piece = bytes.subarray(at, at + PIECE_BYTES);
    at += piece.length;
    if (at < bytes.length) response.write(piece, next);
    else response.end(piece);
  };
  if (response.req.method === 'HEAD') response.end();
  else next();
}

export function sendText(response: ServerResponse, status: number, text: string): void {
  send(response, status, 'text/plain; charset=utf-8', `${text}\n`);
}
