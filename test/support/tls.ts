/** Certificates of test/fixtures/tls, and an HTTPS client that shows what it was given. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const FIXTURES = fileURLToPath(new URL('../fixtures/tls', import.meta.url));

export function pem(name: string): string {
  return readFileSync(join(FIXTURES, name), 'utf8');
}
