/**
 * The tree that the guest runs: compiled, as it is published, so that the emulated CPU strips no types, and copied,
 * so that nobody's editor changes it under a running check.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, rmSync, symlinkSync } from 'node:fs';
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
  symlinkSync(join(repository, 'node_modules'), join(into, 'node_modules'));
  execFileSync('tar', ['--create', '--file', file, '--directory', into, '.']);
  rmSync(into, { recursive: true });
}
