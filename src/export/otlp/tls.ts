/**
 * Reads a target's certificate files: at startup, where a problem is a config error, and before each attempt, because
 * certificates can be short-lived.
 */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
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
 * Returns a function that reads the files again: a new object has new contents. Throws a `UsageError` that names the key
 * of an unusable file.
 */
export function openTlsFiles(target: OtlpTarget, log: Log): () => TlsMaterial {
  const files = [
    ['otlp.certificate', 'ca', target.certificateFile],
    ['otlp.client_certificate', 'cert', target.clientCertificateFile],
    ['otlp.client_key', 'key', target.clientKeyFile],
  ] as const;
  const used = files.flatMap(([key, as, file]) =>
    file !== undefined && target.url.startsWith('https:') ? [{ key, as, file }] : [],
  );
  const read = (): TlsMaterial =>
    Object.fromEntries(used.map(({ key, as, file }) => [as, readPem(key, file)]));
  const check = (material: TlsMaterial): void => {
    try {
      createSecureContext(material);
      // TLS silently ignores certificates that are not authorities.
      if (material.ca?.includes('CERTIFICATE-----') === false)
        throw new Error('it contains no certificate of an authority');
      if (material.ca !== undefined) new X509Certificate(material.ca);
    } catch (error) {
      const keys = used.map(({ key, file }) => `${key} (${file})`).join(', ');
      throw new UsageError(`${keys}: can't be used for TLS: ${reasonOf(error)}`);
    }
  };

  let material = read();
  check(material);
  let problem = '';
  return () => {
    let reason = '';
    try {
      const now = read();
      if (!isDeepStrictEqual(now, material)) {
        check(now);
        material = now;
      }
    } catch (error) {
      reason = reasonOf(error);
      if (reason !== problem)
        log.warn({ reason }, 'OTLP: new certificates are unusable, keeping the previous ones');
    }
    problem = reason;
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
