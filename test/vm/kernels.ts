/**
 * Kernels of the lab: finds the kernel image and modules of a Debian package by the kernel's name. They are kept in the
 * cache, so that a second run needs no network. Packages are downloaded and unpacked, never installed, through a
 * separate apt root: the machine's sources stay as they are, and the mirror is the one that they name.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';

export interface Recipe {
  /** As given to `--kernel`. */
  name: string;
  /** Debian suite of its `linux-image-rt-amd64`. */
  suite: string;
}

export const RECIPES: readonly Recipe[] = [
  { name: '5.10-rt', suite: 'bullseye' },
  { name: '6.1-rt', suite: 'bookworm' },
  { name: '6.12-rt', suite: 'bookworm-backports' },
  { name: '7.3-rt', suite: 'trixie-backports' },
];
const METAPACKAGE = 'linux-image-rt-amd64';

export interface Kernel {
  name: string;
  /** File of the kernel image. */
  image: string;
  /** Files of the modules to insert, each after those it depends on. */
  modules: string[];
}

/** What the guest needs beyond what is built in: its roots, a disk, loop devices. */
const MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'virtio_blk', 'loop'];
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

export function cacheDir(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'ftrace-exporter', 'kernels');
}

/** A kernel from the cache, or else from the mirror. Throws an `Error` that says what is missing. */
export function fetchKernel(recipe: Recipe, log: (line: string) => void): Kernel {
  const dir = join(cacheDir(), recipe.name);
  const stamp = createHash('sha256')
    .update(JSON.stringify([recipe, MODULES]))
    .digest('hex');
  const ready = join(dir, 'ready');
  if (!existsSync(ready) || readFileSync(ready, 'utf8') !== stamp) {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    log(`${recipe.name}: fetching ${METAPACKAGE} of ${recipe.suite}`);
    const unpacked = download(recipe, dir);
    keepWhatBoots(unpacked, dir);
    rmSync(unpacked, { recursive: true });
    writeFileSync(ready, stamp);
  }
  const modules = readdirSync(join(dir, 'modules')).sort();
  return {
    name: recipe.name,
    image: join(dir, 'vmlinuz'),
    modules: modules.map((file) => join(dir, 'modules', file)),
  };
}

/** Downloads and unpacks the packages that the metapackage depends on. Returns their directory. */
function download(recipe: Recipe, dir: string): string {
  const apt = aptRoot(recipe.suite);
  run('apt-get', [...apt, 'update', '-qq']);
  const wanted = [METAPACKAGE];
  for (let i = 0; i < wanted.length; i++) {
    for (const name of kernelParts(run('apt-cache', [...apt, 'show', '--no-all-versions', wanted[i]])))
      if (!wanted.includes(name)) wanted.push(name);
  }
  const debs = join(dir, 'debs');
  const unpacked = join(dir, 'unpacked');
  mkdirSync(debs);
  mkdirSync(unpacked);
  for (const name of wanted.slice(1)) run('apt-get', [...apt, 'download', '-qq', name], debs);
  for (const deb of readdirSync(debs)) run('dpkg', ['-x', join(debs, deb), unpacked]);
  rmSync(debs, { recursive: true });
  return unpacked;
}

/** Names in `Depends:` that contain the image and its modules: one package, or three in newer suites. */
function kernelParts(shown: string): string[] {
  const depends = /^(?:Pre-)?Depends: (.*)$/gm;
  return [...shown.matchAll(depends)].flatMap(([, list]) =>
    list.split(/[,|]/).flatMap((part) => /^\s*(linux-(?:image|binary|modules)-\d\S*)/.exec(part)?.[1] ?? []),
  );
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

/** Copies image and modules from the unpacked packages. Modules are uncompressed and numbered in their order. */
function keepWhatBoots(unpacked: string, dir: string): void {
  const files = readdirSync(unpacked, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const image = files.find((file) => /\/vmlinuz(-[^/]*)?$/.test(file));
  if (image === undefined) throw new Error(`no kernel image below ${unpacked}`);
  cpSync(image, join(dir, 'vmlinuz'));
  const byName = new Map<string, string>();
  for (const file of files) {
    const name = /^(.*)\.ko(\.xz|\.zst)?$/.exec(basename(file))?.[1];
    if (name !== undefined) byName.set(name.replaceAll('-', '_'), file);
  }
  const ordered = new Map<string, Buffer>();
  const add = (name: string): void => {
    const file = byName.get(name);
    // A name without a module file is built in.
    if (file === undefined || ordered.has(name)) return;
    const bytes = uncompressed(file);
    for (const other of dependsOf(bytes)) add(other);
    ordered.set(name, bytes);
  };
  for (const name of MODULES) add(name);
  mkdirSync(join(dir, 'modules'));
  let number = 10;
  for (const [name, bytes] of ordered) writeFileSync(join(dir, 'modules', `${number++}-${name}.ko`), bytes);
}

function uncompressed(file: string): Buffer {
  const bytes = readFileSync(file);
  if (file.endsWith('.zst')) return zstdDecompressSync(bytes);
  if (file.endsWith('.xz')) return execFileSync('xz', ['-dc', file], { maxBuffer: 1 << 28 });
  return bytes;
}

/** `depends=` of a module's .modinfo. */
function dependsOf(module: Buffer): string[] {
  const at = module.indexOf('\0depends=');
  if (at < 0) return [];
  const text = module.toString('latin1', at + 9, module.indexOf(0, at + 9));
  return text.split(',').flatMap((name) => (name === '' ? [] : [name.replaceAll('-', '_')]));
}

function run(command: string, args: string[], cwd?: string): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(cwd === undefined ? {} : { cwd }),
  });
}
