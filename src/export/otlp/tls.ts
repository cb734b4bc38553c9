/**
 * Reads a target's certificate files: at startup, where a problem is a config error, and again when they change, because
 * certificates can be short-lived.
 */
import { X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { reasonOf, UsageError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { OtlpTarget } from '../../model/otlp.ts';
import { readUserFile } from '../../model/user-file.ts';

/** Options for TLS. */
export interface TlsMaterial {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
}

/**
 * Returns a function that reads the files again if they changed: a new object has new contents. Throws a `UsageError`
 * that names the key of an unusable file.
 */
export function openTlsFiles(target: OtlpTarget, log: Log): () => TlsMaterial {
  const files: [key: string, as: keyof TlsMaterial, file: string | undefined][] = [
    ['otlp.certificate', 'ca', target.certificateFile],
    ['otlp.client_certificate', 'cert', target.clientCertificateFile],
    ['otlp.client_key', 'key', target.clientKeyFile],
  ];
  const used = target.url.startsWith('https:') ? files.filter(([, , file]) => file !== undefined) : [];
  const read = (): TlsMaterial => {
    const material: TlsMaterial = {};
    for (const [key, as, file] of used) material[as] = readPem(key, file as string);
    try {
      createSecureContext(material);
      // TLS silently ignores certificates that are not authorities.
      if (material.ca !== undefined) checkAuthorities(material.ca.toString('latin1'));
    } catch (error) {
      const keys = used.map(([key, , file]) => `${key} (${file})`).join(', ');
      throw new UsageError(`${keys}: can't be used for TLS: ${reasonOf(error)}`);
    }
    return material;
  };
  const stamps = () => used.map(([, , file]) => stampOf(file as string)).join();

  let seen = stamps();
  let material = read();
  return () => {
    const now = stamps();
    if (now === seen) return material;
    seen = now;
    try {
      material = read();
    } catch (error) {
      const reason = reasonOf(error);
      log.warn({ reason }, 'OTLP: new certificates are unusable, keeping the previous ones');
    }
    return material;
  };
}

function readPem(key: string, file: string): Buffer {
  try {
    return readUserFile(file);
  } catch (error) {
    throw new UsageError(`${key}: cannot read ${JSON.stringify(file)}: ${reasonOf(error)}`);
  }
}

function checkAuthorities(pem: string): void {
  const certificates =
    pem.match(/-----BEGIN [^-]*CERTIFICATE-----[^-]*-----END [^-]*CERTIFICATE-----/g) ?? [];
  if (certificates.length === 0) throw new Error('it contains no certificate of an authority');
  for (const certificate of certificates) new X509Certificate(certificate);
}

/** Changes with the file. '' while the file is missing, for example while it is being replaced. */
function stampOf(file: string): string {
  try {
    const { mtimeMs, ino, size } = statSync(file);
    return `${mtimeMs} ${ino} ${size}`;
  } catch {
    return '';
  }
}
