/** Checks every request before the routes handle it, and answers the requests that it refuses. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '../../model/log.ts';
import { createAuthenticator, credentialsOf } from './auth.ts';
import { networkOf } from './auth-queue.ts';
import type { Connection } from './connections.ts';
import { type Bucket, createBucket } from './rate-limit.ts';
import type { RefusalReason, Refusals } from './refusals.ts';
import { commonHeaders, sendText } from './respond.ts';
import type { Rate, WebConfig } from './web-config.ts';
import type { WebConfigFile } from './web-config-file.ts';

export interface Guard {
  /** Resolves to whether the request is admitted. If not, the guard has answered, or the client has disconnected. */
  check(request: IncomingMessage, response: ServerResponse, connection: Connection): Promise<boolean>;
  close(): void;
}

/** Token buckets with the rate `of`. `unknown` is for clients that need a password and have not proven it. */
interface Buckets {
  of: Rate | undefined;
  known: Bucket | undefined;
  unknown: Bucket | undefined;
}

/** Without a web config. */
const OPEN: Omit<WebConfig, 'tls'> = { headers: [], users: new Map(), rate: undefined };
const CHALLENGE = 'Basic realm="ftrace-exporter", charset="UTF-8"';

export function createGuard(web: WebConfigFile | undefined, refusals: Refusals, log: Log): Guard {
  const authenticator = createAuthenticator(log);
  if ((web?.current().users.size ?? 0) > 0) authenticator.prepare();
  let buckets: Buckets = { of: undefined, known: undefined, unknown: undefined };

  const bucketsOf = (rate: Rate | undefined): Buckets => {
    if (buckets.of !== rate) {
      const make = () => rate && createBucket(rate);
      buckets = { of: rate, known: make(), unknown: make() };
    }
    return buckets;
  };

  const check: Guard['check'] = async (request, response, connection) => {
    const { users, rate, headers } = web?.current() ?? OPEN;
    const client = request.socket.remoteAddress;
    commonHeaders(response, headers);
    // No route reads request bodies, so we cannot reuse a connection after a request with a body.
    if (hasBody(request)) response.setHeader('Connection', 'close');

    const refuse = (status: number, reason: RefusalReason, text: string): false => {
      refusals.count(reason, { client });
      sendText(response, status, text);
      return false;
    };
    const credentials = users.size === 0 ? undefined : credentialsOf(request.headers.authorization);
    const remembered = credentials && authenticator.known(credentials, users);
    const { known: proven, unknown } = bucketsOf(rate);
    const bucket = users.size === 0 || remembered === 'right' ? proven : unknown;
    if (rate !== undefined && bucket?.take() === false) {
      response.setHeader('Retry-After', Math.ceil(rate.intervalNs / 1e9));
      return refuse(429, 'rate_limit', 'too many requests: the rate_limit in the web config is exceeded');
    }
    if (users.size === 0 || remembered === 'right') return true;
    if (credentials === undefined) {
      response.setHeader('WWW-Authenticate', CHALLENGE);
      return refuse(401, 'no_credentials', 'unauthorized: send a user name and a password');
    }
    const verdict =
      remembered ??
      (await authenticator.look(credentials, users, {
        network: networkOf(client),
        failures: connection.failures,
        onGone: (forget) => response.once('close', forget),
      }));
    if (response.destroyed) return false;
    if (verdict === 'right') return true;
    if (verdict === 'busy') {
      response.setHeader('Retry-After', 1);
      return refuse(
        429,
        'credentials_queue',
        'too many passwords are waiting to be checked: try again later',
      );
    }
    connection.failures++;
    response.setHeader('WWW-Authenticate', CHALLENGE);
    return refuse(401, 'wrong_credentials', 'unauthorized: wrong user name or password');
  };
  return { check, close: () => authenticator.close() };
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}
