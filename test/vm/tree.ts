/**
 * The tree that the guest runs: compiled, as it is published, so that the emulated CPU strips no types, and copied,
 * so that nobody's editor changes it under a running check. With it go the libraries it runs with: over 9p each start
 * of the program would read them anew, which takes an emulated CPU ten seconds.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Compiled sources and tests as an archive `file`: one file is read over 9p faster than hundreds. Throws an `Error` with the compiler's words when there are none. */
export function buildTree(repository: string, file: string): void {
  const into = `${file}.d`;
  const tsc = join(repository, 'node_modules/typescript/bin/tsc');
  const options = ['--project', 'tsconfig.json', '--noEmit', 'false', '--rootDir', '.', '--outDir', into];
  const { stdout } = spawnSync(process.execPath, [tsc, ...options], { cwd: repository, encoding: 'utf8' });
  // Types are another check's business: what could be compiled is tried.
  if (!existsSync(join(into, 'src/cli/main.js'))) throw new Error(`cannot compile the tree:\n${stdout}`);
  copyFileSync(join(repository, 'package.json'), join(into, 'package.json'));
  cpSync(join(repository, 'bin'), join(into, 'bin'), { recursive: true });
  // What the program prefers to sources that are not younger.
  cpSync(join(into, 'src'), join(into, 'dist'), { recursive: true });
  const leftOut = ['*.map', '*.ts', '*.cts', '*.mts', '*.md'].map((pattern) => `--exclude=${pattern}`);
  const archive = ['--create', '--file', file, '--directory', into, '.'];
  execFileSync('tar', [...leftOut, ...archive, '--directory', repository, ...libraries(repository)]);
  rmSync(into, { recursive: true });
}

/** Directories of what the program needs to run, from the lockfile. */
function libraries(repository: string): string[] {
  const lock = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean }>;
  };
  return Object.entries(lock.packages).flatMap(([path, { dev, optional, devOptional }]) =>
    path === '' || dev || optional || devOptional ? [] : [path],
  );
}
