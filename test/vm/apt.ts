/**
 * Downloads Debian packages and unpacks them without installing anything, through a separate apt root: the machine's
 * sources stay as they are, and the mirror is the one that they name.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

export function cacheDir(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'ftrace-exporter', 'kernels');
}

export interface Apt {
  /** The control fields of a package. */
  show(name: string): string;
  /** Downloads packages into `dir` and unpacks them. Returns the directory of their files. */
  unpack(names: readonly string[], dir: string): string;
}

/** Reads one suite. Throws an `Error` that says what is missing. */
export function openApt(suite: string): Apt {
  const options = aptRoot(suite);
  run('apt-get', [...options, 'update', '-qq']);
  return {
    show: (name) => run('apt-cache', [...options, 'show', '--no-all-versions', name]),
    unpack: (names, dir) => {
      const debs = join(dir, 'debs');
      const unpacked = join(dir, 'unpacked');
      mkdirSync(debs);
      mkdirSync(unpacked);
      for (const name of names) run('apt-get', [...options, 'download', '-qq', name], debs);
      for (const deb of readdirSync(debs)) run('dpkg', ['-x', join(debs, deb), unpacked]);
      rmSync(debs, { recursive: true });
      return unpacked;
    },
  };
}

/** Options that make apt read one suite of the machine's own mirror into a root in the cache. */
function aptRoot(suite: string): string[] {
  const root = join(cacheDir(), '.apt', suite);
  for (const dir of ['lists/partial', 'archives/partial']) mkdirSync(join(root, dir), { recursive: true });
  const list = join(root, 'sources.list');
  if (!existsSync(KEYRING)) throw new Error(`${KEYRING} is missing: install debian-archive-keyring`);
  writeFileSync(list, `deb [signed-by=${KEYRING} arch=amd64] ${mirror()} ${suite} main\n`);
  const settings = {
    'Dir::Etc::sourcelist': list,
    'Dir::Etc::sourceparts': '/nonexistent',
    'Dir::State::lists': join(root, 'lists'),
    'Dir::State::status': '/dev/null',
    'Dir::Cache': root,
    'Dir::Cache::archives': join(root, 'archives'),
    'Acquire::Languages': 'none',
    'APT::Architecture': 'amd64',
    // Root downloads here, because the user _apt cannot write into a home directory.
    'APT::Sandbox::User': 'root',
  };
  return Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
}

/** The mirror that the machine itself uses for Debian. */
function mirror(): string {
  const format = '$(REPO_URI) $(COMPONENT) $(RELEASE)';
  const targets = run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']).split('\n');
  const debian = targets.map((line) => line.split(' ')).filter(([uri]) => /\/debian\/?$/.test(uri));
  if (debian.length === 0)
    throw new Error(
      "apt's sources name no Debian mirror (a URL that ends in /debian): `apt-get indextargets`",
    );
  return debian[0][0];
}

export function run(command: string, args: string[], cwd?: string): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(cwd === undefined ? {} : { cwd }),
  });
}
