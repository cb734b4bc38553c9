/** Makes TLS settings from a web config. Checks certificates and keys, so that problems appear before a handshake. */

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isIP, SocketAddress } from 'node:net';
import { dirname, resolve } from 'node:path';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { errnoOf, reasonOf } from '../../model/errors.ts';
import { readUserFile } from '../../model/user-file.ts';
import { CURVES, NODE_VERSIONS, openSslCiphers } from './tls-names.ts';
import type { TlsSection } from './web-config-schema.ts';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export interface TlsSettings {
  context: SecureContextOptions;
  clients: ClientPolicy;
  /** When the server's own certificate (the first one in the file) expires, in milliseconds since 1970. */
  validUntilMs: number;
}

export interface ClientPolicy {
  /** Whether the server asks clients for a certificate. */
  ask: boolean;
  /** Whether to refuse clients without a certificate. */
  require: boolean;
  /** Whether to refuse clients whose certificate was not signed by a configured CA. */
  verify: boolean;
  /** Clients must have one of these names, normalized by `plainName`. Undefined: all names are allowed. */
  names: ReadonlySet<string> | undefined;
}

/** Reports a problem and its config key. */
export type Wrong = (key: string, message: string) => void;

/** PEM text, and the config key that contains the text or the path of its file. */
interface Source {
  key: string;
  text: string;
}

/** Calls `read` before reading a file, and `wrong` for every problem. Returns undefined if there is a problem. */
export function readTls(
  tls: TlsSection,
  configFile: string,
  read: (file: string) => void,
  wrong: Wrong,
): TlsSettings | undefined {
  let faults = 0;
  const fault: Wrong = (key, message) => {
    faults++;
    wrong(key, message);
  };
  const source = (key: 'cert' | 'key' | 'client_ca'): Source | undefined => {
    const inline = tls[key];
    if (inline) return { key, text: inline };
    const named = tls[`${key}_file`];
    if (!named) return undefined;
    const file = resolve(dirname(configFile), named);
    read(file);
    const text = readPem(file, (message) => fault(`${key}_file`, message));
    return text === undefined ? undefined : { key: `${key}_file`, text };
  };
  const [cert, key, ca] = [source('cert'), source('key'), source('client_ca')];
  const chain = cert && certificatesOf(cert, fault);
  const privateKey = key && privateKeyOf(key, fault);
  const authorities = ca && certificatesOf(ca, fault);
  if (key && privateKey && chain && !chain[0].checkPrivateKey(privateKey)) {
    fault(key.key, 'is not the key of the certificate (of the first one, if there are several)');
  }
  if (faults > 0 || !cert || !key || !chain) return undefined;
  const context: SecureContextOptions = {
    cert: cert.text,
    key: key.text,
    // An empty list means no CA. Undefined would mean all public CAs.
    ca: authorities ? (ca as Source).text : [],
    minVersion: NODE_VERSIONS[tls.min_version],
    maxVersion: NODE_VERSIONS[tls.max_version],
    ciphers: openSslCiphers(tls.cipher_suites, tls.min_version),
    honorCipherOrder: tls.prefer_server_cipher_suites,
    ...(tls.curve_preferences?.length
      ? { ecdhCurve: tls.curve_preferences.map((name) => CURVES[name]).join(':') }
      : {}),
  };
  try {
    createSecureContext(context);
  } catch (error) {
    fault(cert.key, `OpenSSL rejects it: ${opensslReason(error)}`);
    return undefined;
  }
  return { context, clients: clientPolicy(tls), validUntilMs: Date.parse(chain[0].validTo) };
}

function clientPolicy({ client_auth_type: type, client_allowed_sans: names }: TlsSection): ClientPolicy {
  return {
    ask: type !== 'NoClientCert',
    require: type.startsWith('Require'),
    verify: type.includes('Verify'),
    names: names === undefined ? undefined : new Set(names.map(plainName)),
  };
}

/** Normalizes a name from a certificate or from the config: an IP address gets its canonical spelling. */
export function plainName(name: string): string {
  const version = isIP(name);
  if (version === 0) return name;
  return new SocketAddress({ address: name, family: version === 4 ? 'ipv4' : 'ipv6' }).address;
}

function readPem(file: string, fault: (message: string) => void): string | undefined {
  try {
    return readUserFile(file).toString('utf8');
  } catch (error) {
    fault(`cannot read ${file}: ${reasonOf(error)}`);
    return undefined;
  }
}

function certificatesOf({ key, text }: Source, fault: Wrong): X509Certificate[] | undefined {
  const certificates = text.match(CERTIFICATE);
  if (certificates === null) {
    fault(key, 'has no certificate in PEM (-----BEGIN CERTIFICATE-----)');
    return undefined;
  }
  try {
    return certificates.map((one) => new X509Certificate(one));
  } catch (error) {
    fault(key, `has a certificate that cannot be read: ${opensslReason(error)}`);
    return undefined;
  }
}

function privateKeyOf({ key, text }: Source, fault: Wrong): KeyObject | undefined {
  try {
    return createPrivateKey(text);
  } catch (error) {
    const encrypted = errnoOf(error) === 'ERR_MISSING_PASSPHRASE' || /ENCRYPTED/.test(text);
    fault(
      key,
      encrypted
        ? 'is encrypted, and the agent has no passphrase for it: store it unencrypted'
        : `has no private key that can be read, in PEM (-----BEGIN PRIVATE KEY-----): ${opensslReason(error)}`,
    );
    return undefined;
  }
}

/** Returns OpenSSL's message without the error number. */
function opensslReason(error: unknown): string {
  const { message } = error as Error;
  return message.replace(/^error:[0-9A-F]+:/, '').replaceAll('::', ': ');
}
