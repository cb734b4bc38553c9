/**
 * The files of certificates that a target names: read at the start, where what is wrong with them is an error of the
 * config, and again when they have changed, as short-lived ones do.
 */
import { X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { UsageError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { OtlpTarget } from '../../model/otlp.ts';
import { readUserFile } from '../../model/user-file.ts';

/** As TLS takes them. */
export interface TlsMaterial {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
}

export interface TlsFiles {
  /** Whether they have changed since it was last asked; then `now()` gives something else. */
  changed(): boolean;
  now(): TlsMaterial;
}

/** Throws a `UsageError` with the key that names a file that cannot be used. */
export function openTlsFiles(target: OtlpTarget, log: Log): TlsFiles {
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
      // What is no authority it passes over.
      if (material.ca !== undefined) checkAuthorities(material.ca.toString('latin1'));
    } catch (error) {
      const keys = used.map(([key, , file]) => `${key} (${file})`).join(', ');
      throw new UsageError(`${keys}: cannot be used for TLS: ${(error as Error).message}`);
    }
    return material;
  };
  const stamps = () => used.map(([, , file]) => stampOf(file as string)).join();

  let seen = stamps();
  let material = read();
  return {
    now: () => material,
    changed: () => {
      const now = stamps();
      if (now === seen) return false;
      seen = now;
      try {
        material = read();
        return true;
      } catch (error) {
        const reason = (error as Error).message;
        log.warn({ reason }, 'OTLP: certificates have changed and cannot be used: keeping those from before');
        return false;
      }
    },
  };
}

function readPem(key: string, file: string): Buffer {
  try {
    return readUserFile(file);
  } catch (error) {
    throw new UsageError(`${key}: cannot read ${JSON.stringify(file)}: ${(error as Error).message}`);
  }
}

function checkAuthorities(pem: string): void {
  const certificates =
    pem.match(/-----BEGIN [^-]*CERTIFICATE-----[^-]*-----END [^-]*CERTIFICATE-----/g) ?? [];
  if (certificates.length === 0) throw new Error('no certificate of an authority is in it');
  for (const certificate of certificates) new X509Certificate(certificate);
}

/** Changes with the file; '' while there is none, as within an exchange of it. */
function stampOf(file: string): string {
  try {
    const { mtimeMs, ino, size } = statSync(file);
    return `${mtimeMs} ${ino} ${size}`;
  } catch {
    return '';
  }
}
