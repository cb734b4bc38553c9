/** Finds the files and the version of the package. Works in a checkout and in the compiled program. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../', import.meta.url);

export function packageFile(path: string): string {
  return fileURLToPath(new URL(path, ROOT));
}

export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string };
  return version;
}
