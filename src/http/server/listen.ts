/** Binds an app to `--web.listen-address`, with TLS, time-outs and a limit on connections. */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { type AddressInfo, isIPv6, type Socket } from 'node:net';
import { errnoOf, KernelError, reasonOf, UsageError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import { type Connections, createConnections } from './connections.ts';
import { connectionCeiling } from './descriptors.ts';
import { createGuard, type Guard } from './guard.ts';
import { createRefusals, type RefusalReason, type Refusals } from './refusals.ts';
import { createTlsDoor, type DoorEvents, type TlsDoor } from './tls-door.ts';
import type { TlsSettings } from './tls-settings.ts';
import type { WebConfigFile } from './web-config-file.ts';

/** An `import` of node:http would also load Node's HTTP client for `fetch`, and HTTP/2: 13 MiB that nobody uses. */
const { createServer } = process.getBuiltinModule('node:http');

/** Longer than most scrape intervals, so that a connection survives from one scrape to the next. */
const KEEP_ALIVE_MS = 75_000;
const REQUEST_MS = 30_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** Time that current responses have to complete when the agent stops. */
const CLOSE_GRACE_MS = 2_000;
const MAX_CONNECTIONS = 512;
const LIMITS = {
  headersMs: 5_000,
  checkMs: 1_000,
  stalledMs: KEEP_ALIVE_MS,
};

export interface Limits {
  /** Maximum number of open connections. Above it, connections.ts closes one or refuses the new one. */
  connections: number;
  /** Time limit for the TLS handshake of a connection, and separately for the headers of each request. */
  headersMs: number;
  /** Interval at which Node checks the time limits of headers and requests. */
  checkMs: number;
  /** A connection without traffic for this long is closed, such as when a client does not read its response. */
  stalledMs: number;
}

export interface ListenOptions {
  /** TLS, users and rates. Undefined means plain HTTP without passwords. */
  web?: WebConfigFile | undefined;
  /** `--web.max-requests`. At least twice as many connections are allowed. */
  maxRequests?: number;
  limits?: Partial<Limits>;
  /** Counts refused clients. By default, `listen` creates a counter. */
  refusals?: Refusals;
}

export interface Listening {
  /** URL on this machine, without a trailing slash. The kernel's choice replaces port 0. */
  url: string;
  /** Resolves when all current responses are complete, at the latest after `CLOSE_GRACE_MS`. */
  close(): Promise<void>;
}

export interface ListenAddress {
  /** Undefined means all IPv6 and IPv4 addresses. */
  host: string | undefined;
  port: number;
}

/** Parses `:10743`, `127.0.0.1:10743`, `[::1]:10743` or `host:10743`. Throws a `UsageError` for anything else. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([\w.-]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const wrongIpv6 = match?.[1] !== undefined && !isIPv6(match[1]);
  if (match === null || port > 65535 || wrongIpv6) {
    throw new UsageError(
      `--web.listen-address ${JSON.stringify(text)}: must be host:port, such as :10743, 127.0.0.1:10743 or [::1]:10743`,
    );
  }
  return { host: match[1] ?? (match[2] || undefined), port };
}

/** Throws a `UsageError` for an invalid address, and a `KernelError` if the address cannot be bound. */
export async function listen(
  app: RequestListener,
  address: string,
  log: Log,
  { web, maxRequests = 0, limits: chosen = {}, refusals = createRefusals(log) }: ListenOptions = {},
): Promise<Listening> {
  const { host, port } = parseListenAddress(address);
  const ceiling = connectionCeiling(Math.max(MAX_CONNECTIONS, 2 * maxRequests));
  const limits = { ...LIMITS, connections: ceiling, ...chosen };
  const server = createServer({
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_MS,
    headersTimeout: limits.headersMs,
    connectionsCheckingInterval: limits.checkMs,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  server.timeout = limits.stalledMs;
  const connections = createConnections(limits.connections, () => refusals.count('connections'));
  const guard = createGuard(web, refusals, log);
  acceptThrough(server, connections, web, limits, refusals);
  server.on('request', requestListener(app, connections, guard, log));
  server.on('clientError', (error, socket) => refuseBroken(error, socket as Socket, connections, refusals));
  await bind(server, address, host, port);
  // Without this listener, a failed accept() would end the process, for example if no file descriptor is free.
  server.on('error', (error) => log.error({ reason: error.message }, 'HTTP server error'));
  const bound = server.address() as AddressInfo;
  const shown =
    host === undefined ? 'localhost' : bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return {
    url: `${web?.current().tls ? 'https' : 'http'}://${shown}:${bound.port}`,
    close: () => close(server, connections, guard),
  };
}

/** Applies TLS and the limit on connections. The HTTP server must listen itself, or Node enforces no time-outs. */
function acceptThrough(
  server: Server,
  connections: Connections,
  web: WebConfigFile | undefined,
  { headersMs }: Limits,
  refusals: Refusals,
): void {
  const [serve] = server.listeners('connection') as ((socket: Socket) => void)[];
  server.removeAllListeners('connection');
  const events: DoorEvents = {
    enter: (secure, raw) => {
      connections.alias(secure, raw);
      serve.call(server, secure);
    },
    refuse: (reason, detail) => refusals.count(reason, { detail }),
  };
  let door: { of: TlsSettings; take: TlsDoor['take'] } | undefined;
  server.on('connection', (raw: Socket) => {
    raw.on('error', () => {});
    if (!connections.add(raw)) {
      refusals.count('connections', { client: raw.remoteAddress });
      raw.destroy();
      return;
    }
    const tls = web?.current().tls;
    if (tls === undefined) {
      serve.call(server, raw);
      return;
    }
    if (door?.of !== tls) door = { of: tls, take: createTlsDoor(tls, headersMs, events).take };
    door.take(raw);
  });
}

/** Answers a request that Node rejected as invalid, too large or too slow, and closes the connection. */
function refuseBroken(error: Error, socket: Socket, connections: Connections, refusals: Refusals): void {
  const refusal = refusalOf(errnoOf(error));
  if (refusal === undefined) {
    socket.destroy();
    return;
  }
  const { reason, status } = refusal;
  refusals.count(reason, { client: socket.remoteAddress });
  if (socket.writable && !connections.busy(socket)) {
    socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  }
  socket.destroySoon();
}

function refusalOf(code: string): { reason: RefusalReason; status: string } | undefined {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { reason: 'slow_request', status: '408 Request Timeout' };
    case 'HPE_HEADER_OVERFLOW':
      return { reason: 'large_headers', status: '431 Request Header Fields Too Large' };
    default:
      return code.startsWith('HPE_') ? { reason: 'malformed_request', status: '400 Bad Request' } : undefined;
  }
}

function requestListener(
  app: RequestListener,
  connections: Connections,
  guard: Guard,
  log: Log,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    const connection = connections.begin(request.socket, response);
    if (connection === undefined) {
      request.socket.destroy();
      return;
    }
    try {
      if (!(await guard.check(request, response, connection))) return;
      connections.letIn(connection);
      app(request, response);
    } catch (error) {
      log.error({ path: request.url, reason: reasonOf(error) }, 'could not handle an HTTP request');
      request.socket.destroy();
    }
  };
}

function bind(server: Server, address: string, host: string | undefined, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(refusal(address, errnoOf(error))));
    server.listen({ port, host }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

function refusal(address: string, errno: string): KernelError {
  const remedies: Record<string, string> = {
    EADDRINUSE: 'another program or agent already uses this address: choose another --web.listen-address',
    EADDRNOTAVAIL: 'no interface of this machine has this address',
    EACCES: 'ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher port',
    ENOTFOUND: 'the host name does not resolve',
    EAI_AGAIN: 'the host name could not be resolved: try again later',
    EAFNOSUPPORT: 'this machine has no IPv6: use an IPv4 address',
  };
  const remedy = remedies[errno];
  return new KernelError({ file: address, errno, action: 'listen on', remedy });
}

function close(server: Server, connections: Connections, guard: Guard): Promise<void> {
  return new Promise((resolve) => {
    const cutOff = setTimeout(() => connections.closeNow(), CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(cutOff);
      guard.close();
      resolve();
    });
    connections.close();
  });
}
