/** Location and version of the package, both for the sources and for the compiled program. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../', import.meta.url);

/** Absolute path of a file of the package. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(path, ROOT));
}

export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string };
  return version;
}
