/**
 * Performs the TLS handshake of an accepted connection, and decides whether to admit the client. We check client
 * certificates here, because web configs use the certificate policies of Go, and Node supports only some of them.
 */
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type PeerCertificate, type TLSSocket } from 'node:tls';
import { type ClientPolicy, plainName, type TlsSettings } from './tls-settings.ts';

export interface TlsDoor {
  /**
   * Starts the handshake. If it succeeds, calls `enter`. Otherwise destroys the socket, and calls `refuse` unless the
   * client sent nothing.
   */
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
    // Forbid renegotiation, which HTTP does not need. If we check client certificates, disable session tickets, so that
    // a client that reconnects must present its certificate again.
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
    // If the connection has already closed, the socket has no addresses, so `raw` is undefined. The `close` listener in
    // `take` then counts the refusal.
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

/**
 * Returns whether the client sent nothing. Such a client only tests whether the port is open, like a kubelet probe, so
 * we don't count it as refused.
 */
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
  // Check this after the presence of a certificate, because Node reports a resumed session as authorized even if its
  // client has no certificate.
  if (clients.verify && !secure.authorized) return String(secure.authorizationError);
  if (clients.names !== undefined && !namesOf(certificate).some((name) => clients.names?.has(name))) {
    return 'none of the certificate’s names is in client_allowed_sans';
  }
  return undefined;
}

/**
 * Returns the DNS names, IP addresses, mail addresses and URIs of a certificate. Returns an empty list if the text is
 * malformed. Node joins all names in one text, `DNS:a, IP Address:::1`, in which values with unusual characters are
 * JSON strings.
 */
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
