/** Binds an app to `--web.listen-address`. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';
import { errnoOf, KernelError, UsageError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';

/** Prometheus' longest usual interval is a minute: connections should survive from one scrape to the next. */
const KEEP_ALIVE_MS = 75_000;
const REQUEST_MS = 30_000;
/** How long answers under way may take once the agent stops. */
const CLOSE_GRACE_MS = 2_000;
const MAX_CONNECTIONS = 256;
/** Connections are few, so those that do nothing must go: a probe of our health may want their place. */
const IDLE: IdleLimits = { headersMs: 5_000, checkMs: 1_000, stalledMs: KEEP_ALIVE_MS };

export interface IdleLimits {
  /** How long a new connection may take to ask. */
  headersMs: number;
  /** How often that is looked at. */
  checkMs: number;
  /** How long a client may take nothing of its answer. */
  stalledMs: number;
}

export interface Listening {
  /** Where it can be reached from this machine, with the port the kernel chose if it was 0; no slash at the end. */
  url: string;
  /** Takes no more requests; resolves when those under way are answered or cut off. */
  close(): Promise<void>;
}

export interface ListenAddress {
  /** Undefined: all addresses, IPv6 and IPv4. */
  host: string | undefined;
  port: number;
}

/** `:10743`, `127.0.0.1:10743`, `[::1]:10743`, `host:10743`. Throws a `UsageError` for anything else. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([\w.-]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const wrongIpv6 = match?.[1] !== undefined && !isIPv6(match[1]);
  if (match === null || port > 65535 || wrongIpv6) {
    throw new UsageError(
      `--web.listen-address ${JSON.stringify(text)}: wants host:port, such as :10743, 127.0.0.1:10743 or [::1]:10743`,
    );
  }
  return { host: match[1] ?? (match[2] || undefined), port };
}

/** Throws a `UsageError` for an address that is none, a `KernelError` for one that cannot be bound. */
export async function listen(
  app: RequestListener,
  address: string,
  log: Log,
  idle: IdleLimits = IDLE,
): Promise<Listening> {
  const { host, port } = parseListenAddress(address);
  const times = {
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_MS,
    headersTimeout: idle.headersMs,
  };
  const server = createServer({ ...times, connectionsCheckingInterval: idle.checkMs }, app);
  server.timeout = idle.stalledMs;
  server.maxConnections = MAX_CONNECTIONS;
  await bind(server, address, host, port);
  // Without a listener, running out of file descriptors in accept() would end the process.
  server.on('error', (error) => log.error({ reason: error.message }, 'the HTTP server had an error'));
  const bound = server.address() as AddressInfo;
  const shown =
    host === undefined ? 'localhost' : bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return { url: `http://${shown}:${bound.port}`, close: () => close(server) };
}

function bind(server: Server, address: string, host: string | undefined, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(refusal(address, errnoOf(error))));
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

function refusal(address: string, errno: string): KernelError {
  const remedies: Record<string, string> = {
    EADDRINUSE: 'another program, or another agent, listens there: choose another --web.listen-address',
    EADDRNOTAVAIL: 'no interface of this machine has that address',
    EACCES: 'ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one',
    ENOTFOUND: 'the host name does not resolve',
    EAI_AGAIN: 'the host name could not be resolved now',
    EAFNOSUPPORT: 'this machine has no IPv6: use an IPv4 address',
  };
  const remedy = remedies[errno];
  return new KernelError({ file: address, errno, action: 'listen on', ...(remedy ? { remedy } : {}) });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cutOff = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(cutOff);
      resolve();
    });
  });
}
