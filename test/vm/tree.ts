/**
 * The tree that the guest runs. It is compiled, as it is published, so that the emulated CPU need not strip types, and
 * copied, so that an editor cannot change it under a running check. The libraries are copied with it: over 9p each
 * start of the program would read them again, which takes an emulated CPU ten seconds.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Packs compiled sources and tests into the archive `file`, because 9p reads one file faster than hundreds. Throws an
 * `Error` with the compiler's words if nothing was compiled.
 */
export function buildTree(repository: string, file: string): void {
  const into = `${file}.d`;
  const tsc = join(repository, 'node_modules/typescript/bin/tsc');
  const options = ['--project', 'tsconfig.json', '--noEmit', 'false', '--rootDir', '.', '--outDir', into];
  const { stdout } = spawnSync(process.execPath, [tsc, ...options], { cwd: repository, encoding: 'utf8' });
  // Another check covers types. Whatever could be compiled is tried.
  if (!existsSync(join(into, 'src/cli/main.js'))) throw new Error(`cannot compile the tree:\n${stdout}`);
  copyFileSync(join(repository, 'package.json'), join(into, 'package.json'));
  cpSync(join(repository, 'bin'), join(into, 'bin'), { recursive: true });
  // The program prefers these to sources that are not newer.
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
