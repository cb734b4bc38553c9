/** The headers every answer carries, and the one way answers are sent. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { PAGE_STYLE } from './page-style.ts';

const STYLE_HASH = createHash('sha256').update(PAGE_STYLE).digest('base64');

/** Nothing may load or run but the page's own style sheet and its icon. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${STYLE_HASH}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** All answers are data of this moment: nobody is to keep them. What the user chose goes over what is chosen here. */
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

/** What is handed to the socket at once: TLS copies it for each client, so it may not be a body of megabytes. */
export const PIECE_BYTES = 64 << 10;
/** A client that has taken less than a piece for this long is slow: it has to go when others need its place. */
export const SLOW_MS = 5_000;
/** When the client of an answer last took a piece. */
const tookAtMs = new WeakMap<ServerResponse, number>();

/** Whether an answer is ready, and its client has taken less than `PIECE_BYTES` of it for `SLOW_MS`. */
export function isSlow(response: ServerResponse, nowMs = performance.now()): boolean {
  const atMs = tookAtMs.get(response);
  return atMs !== undefined && nowMs - atMs >= SLOW_MS;
}

/**
 * Sends a whole body, piece by piece as the client takes it; for HEAD, only its length. The caller leaves the bytes
 * of `body` as they are until the response closes.
 */
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
