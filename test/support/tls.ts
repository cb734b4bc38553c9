/** Reads the certificates of test/fixtures/tls, and sends requests over TLS. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';

export const FIXTURES = fileURLToPath(new URL('../fixtures/tls', import.meta.url));

export function pem(name: string): string {
  return readFileSync(join(FIXTURES, name), 'utf8');
}

/** A certificate with its key, for a client or a server. */
export function identity(name: string): { cert: string; key: string } {
  return { cert: pem(`${name}.crt`), key: pem(`${name}.key`) };
}

export interface TlsAnswer {
  status: number;
  body: string;
  headers: Record<string, string | string[] | undefined>;
  protocol: string | null;
  cipher: string;
  alpn: string | false | null;
  /** Common name of the server's certificate. */
  server: string | string[] | undefined;
}

/** Sends one request on a new connection, and trusts the test's CA. Rejects if the server refuses the connection. */
export function askOverTls(
  url: string,
  options: ConnectionOptions & { headers?: Record<string, string> } = {},
): Promise<TlsAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { ca: pem('ca.crt'), agent: false, ...options }, (response) => {
      const socket = response.socket as TLSSocket;
      const seen = {
        protocol: socket.getProtocol(),
        cipher: socket.getCipher().standardName,
        alpn: socket.alpnProtocol,
        server: socket.getPeerCertificate().subject.CN,
      };
      let body = '';
      response.setEncoding('utf8').on('data', (text) => {
        body += text;
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body, ...seen }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}
