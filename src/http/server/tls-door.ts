/**
 * Performs the TLS handshake of an accepted connection and decides whether to admit the client. We check certificates
 * ourselves, because web configs use Go's policies for client certificates, and Node supports only some of them.
 */
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type PeerCertificate, type TLSSocket } from 'node:tls';
import { type ClientPolicy, plainName, type TlsSettings } from './tls-settings.ts';

export interface TlsDoor {
  /** Starts the handshake. Then calls `enter`, or destroys the socket and calls `refuse`. */
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
    // Without session tickets, a client that reconnects must present its certificate again. We need no renegotiation.
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
    // A connection that has already closed has no addresses, so `raw` is undefined. `take` counts such a refusal.
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

/** A client that sends nothing only checks whether the port is open, like a kubelet probe, so we don't count it. */
function saidNothing({ bytesRead }: Socket): boolean {
  return bytesRead === 0;
}

/** Returns a key that is the same for a raw socket and its TLS socket. */
function ends({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

function refusal(secure: TLSSocket, clients: ClientPolicy): string | undefined {
  const certificate = secure.getPeerCertificate();
  if (Object.keys(certificate ?? {}).length === 0) {
    return clients.require ? 'the client has no certificate' : undefined;
  }
  // Node counts a resumed session as verified even if it had no certificate, so the check above must come first.
  if (clients.verify && !secure.authorized) return String(secure.authorizationError);
  if (clients.names !== undefined && !namesOf(certificate).some((name) => clients.names?.has(name))) {
    return 'none of the certificate’s names is in client_allowed_sans';
  }
  return undefined;
}

/**
 * Returns the DNS names, IP addresses, mail addresses and URIs of a certificate. Node joins all names in one text,
 * `DNS:a, IP Address:::1`, where values with unusual characters are JSON strings.
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
