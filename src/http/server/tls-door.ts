/** Performs TLS handshakes. Checks client certificates itself, because Node lacks some of Go's policies. */
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type PeerCertificate, type TLSSocket } from 'node:tls';
import { type ClientPolicy, plainName, type TlsSettings } from './tls-settings.ts';

export interface TlsDoor {
  /** Starts the handshake. Calls `enter` if it succeeds, else `refuse`, unless the client sent nothing. */
  take(raw: Socket): void;
}

export interface DoorEvents {
  enter(secure: TLSSocket, raw: Socket): void;
  refuse(reason: 'tls_handshake' | 'client_certificate', detail: string): void;
}

export function createTlsDoor(
  { context, clients }: TlsSettings,
  handshakeMs: number,
  events: DoorEvents,
): TlsDoor {
  /** Raw sockets during their handshake, by the key that `ends` returns. */
  const raws = new Map<string, Socket>();
  const server = createServer({
    ...context,
    requestCert: clients.ask,
    rejectUnauthorized: false,
    handshakeTimeout: handshakeMs,
    ALPNProtocols: ['http/1.1'],
    // HTTP needs no renegotiation. Without tickets, a reconnecting client must present its certificate again.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | (clients.ask ? constants.SSL_OP_NO_TICKET : 0),
  });
  const done = (secure: TLSSocket): Socket | undefined => {
    const key = ends(secure);
    const raw = raws.get(key);
    raws.delete(key);
    return raw;
  };
  server.on('secureConnection', (secure) => {
    const raw = done(secure);
    const problem = clients.ask ? refusal(secure, clients) : undefined;
    if (problem !== undefined) events.refuse('client_certificate', problem);
    if (problem === undefined && raw !== undefined) events.enter(secure, raw);
    else secure.on('error', () => {}).destroy();
  });
  server.on('tlsClientError', (error, secure) => {
    const raw = done(secure);
    // A closed connection has no addresses. The `close` listener in `take` counts the refusal.
    if (raw !== undefined && !(saidNothing(raw) && secure.readableEnded))
      events.refuse('tls_handshake', error.message);
    secure.destroy();
  });
  return {
    take: (raw) => {
      const key = ends(raw);
      raws.set(key, raw);
      raw.once('close', () => {
        if (raws.get(key) !== raw) return;
        raws.delete(key);
        if (!saidNothing(raw)) events.refuse('tls_handshake', 'the client closed the connection');
      });
      server.emit('connection', raw);
    },
  };
}

/** Returns whether the client sent nothing. Such a client, like a kubelet probe, is not counted as refused. */
function saidNothing({ bytesRead }: Socket): boolean {
  return bytesRead === 0;
}

/** Returns the addresses and ports of a connection: a key that a raw socket and its TLS socket have in common. */
function ends({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

function refusal(secure: TLSSocket, clients: ClientPolicy): string | undefined {
  const certificate = secure.getPeerCertificate();
  if (Object.keys(certificate ?? {}).length === 0) {
    return clients.require ? 'the client has no certificate' : undefined;
  }
  // Check for a certificate first, because Node reports every resumed session as authorized.
  if (clients.verify && !secure.authorized) return String(secure.authorizationError);
  if (clients.names !== undefined && !namesOf(certificate).some((name) => clients.names?.has(name))) {
    return 'none of the certificate’s names is in client_allowed_sans';
  }
  return undefined;
}

/** Returns the names of a certificate; none if the text is malformed. In the text, unusual names are JSON strings. */
export function namesOf({ subjectaltname = '' }: Pick<PeerCertificate, 'subjectaltname'>): string[] {
  const names: string[] = [];
  const entry = /(DNS|IP Address|email|URI|[^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;
  while (entry.lastIndex < subjectaltname.length) {
    const match = entry.exec(subjectaltname);
    if (match === null) return [];
    const [, kind, text] = match;
    if (!['DNS', 'IP Address', 'email', 'URI'].includes(kind)) continue;
    const value = text.startsWith('"') ? (JSON.parse(text) as string) : text;
    names.push(kind === 'IP Address' ? plainName(value) : value);
  }
  return names;
}
