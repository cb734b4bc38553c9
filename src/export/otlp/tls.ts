/** Reads an OTLP target's certificate files at startup and before each attempt, because certificates can change. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { reasonOf, UsageError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { OtlpTarget } from '../../model/otlp.ts';
import { readUserFile } from '../../model/user-file.ts';

export type TlsMaterial = Partial<Record<'ca' | 'cert' | 'key', Buffer>>;

/**
 * Reads the files, and throws a `UsageError` if one is unusable. The returned function reads them again, but keeps the
 * old contents with a warning if a file is unusable. It returns a new object only after a change.
 */
export function openTlsFiles(target: OtlpTarget, log: Log): () => TlsMaterial {
  let material = readTls(target);
  let problem = '';
  return () => {
    let reason = '';
    try {
      material = readTls(target, material);
    } catch (error) {
      reason = reasonOf(error);
      if (reason !== problem)
        log.warn({ reason }, 'OTLP: the new certificates cannot be used; the previous ones stay in use');
    }
    problem = reason;
    return material;
  };
}

/** Returns `before` itself if the files have not changed. */
function readTls(target: OtlpTarget, before?: TlsMaterial): TlsMaterial {
  const material: TlsMaterial = {};
  const names: string[] = [];
  const read = (key: string, as: keyof TlsMaterial, file: string | undefined): void => {
    if (file === undefined || !target.url.startsWith('https:')) return;
    names.push(`${key} (${file})`);
    try {
      material[as] = readUserFile(file);
    } catch (error) {
      throw new UsageError(`${key}: cannot read ${JSON.stringify(file)}: ${reasonOf(error)}`);
    }
  };
  read('otlp.certificate', 'ca', target.certificateFile);
  read('otlp.client_certificate', 'cert', target.clientCertificateFile);
  read('otlp.client_key', 'key', target.clientKeyFile);
  if (before !== undefined && isDeepStrictEqual(material, before)) return before;
  try {
    if (names.length > 0) createSecureContext(material);
    // createSecureContext silently ignores a `ca` without a valid certificate.
    if (material.ca?.includes('CERTIFICATE-----') === false) throw new Error('it contains no CA certificate');
    if (material.ca !== undefined) new X509Certificate(material.ca);
  } catch (error) {
    throw new UsageError(`${names.join(', ')}: can't be used for TLS: ${reasonOf(error)}`);
  }
  return material;
}
