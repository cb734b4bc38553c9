/**
 * Kernels of the lab: finds the kernel image and modules by the kernel's name. They come from a Debian package, or are
 * built from Debian's source of the kernel. They are kept in the cache, so that a second run needs no network.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { cacheDir, openApt } from './apt.ts';
import { buildKernel, CONFIG } from './build-kernel.ts';
import { BUILT } from './tracers.ts';

export interface Recipe {
  /** As given to `--kernel`. */
  name: string;
  /** Debian suite of its `linux-image-rt-amd64`, or of its source. */
  suite: string;
  /** A package with the source of a kernel that is built here. */
  source?: string;
}

export const RECIPES: readonly Recipe[] = [
  { name: '5.10-rt', suite: 'bullseye' },
  { name: '6.1-rt', suite: 'bookworm' },
  { name: '6.12-rt', suite: 'bookworm-backports' },
  { name: '7.3-rt', suite: 'trixie-backports' },
  { name: BUILT, suite: 'bookworm-backports', source: 'linux-source-6.12' },
];
const METAPACKAGE = 'linux-image-rt-amd64';

export interface Kernel {
  name: string;
  /** File of the kernel image. */
  image: string;
  /** Files of the modules to insert, each after those it depends on. */
  modules: string[];
  /** Files of modules that a check inserts. */
  extra: string[];
}

/** What the guest needs beyond what is built in: its roots, disks, loop devices, a file system with events. */
const MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'virtio_blk', 'loop', 'nvme', 'crc32c_generic', 'ext4'];

/** A kernel from the cache, or else from the mirror. Throws an `Error` that says what is missing. */
export function fetchKernel(recipe: Recipe, log: (line: string) => void): Kernel {
  const dir = join(cacheDir(), recipe.name);
  if (!isReady(recipe)) {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(join(dir, 'extra'), { recursive: true });
    log(`${recipe.name}: fetching ${recipe.source ?? METAPACKAGE} of ${recipe.suite}`);
    const unpacked =
      recipe.source === undefined
        ? imagePackages(recipe, dir)
        : openApt(recipe.suite).unpack([recipe.source], dir);
    if (recipe.source === undefined) keepWhatBoots(unpacked, dir);
    else buildKernel(unpacked, dir, (line) => log(`${recipe.name}: ${line}`));
    rmSync(unpacked, { recursive: true });
    writeFileSync(join(dir, 'ready'), stampOf(recipe));
  }
  const filesIn = (part: string) =>
    readdirSync(join(dir, part))
      .sort()
      .map((file) => join(dir, part, file));
  return {
    name: recipe.name,
    image: join(dir, 'vmlinuz'),
    modules: filesIn('modules'),
    extra: filesIn('extra'),
  };
}

/** Whether the cache contains what the recipe makes. */
export function isReady(recipe: Recipe): boolean {
  const ready = join(cacheDir(), recipe.name, 'ready');
  return existsSync(ready) && readFileSync(ready, 'utf8') === stampOf(recipe);
}

function stampOf(recipe: Recipe): string {
  const contents = recipe.source === undefined ? MODULES : readFileSync(CONFIG, 'utf8');
  return createHash('sha256')
    .update(JSON.stringify([recipe, contents]))
    .digest('hex');
}

/** Downloads and unpacks the packages that the metapackage depends on. Returns their directory. */
function imagePackages({ suite }: Recipe, dir: string): string {
  const apt = openApt(suite);
  const wanted = [METAPACKAGE];
  for (let i = 0; i < wanted.length; i++)
    for (const name of kernelParts(apt.show(wanted[i]))) if (!wanted.includes(name)) wanted.push(name);
  return apt.unpack(wanted.slice(1), dir);
}

/** Names in `Depends:` that contain the image and its modules: one package, or three in newer suites. */
function kernelParts(shown: string): string[] {
  const depends = /^(?:Pre-)?Depends: (.*)$/gm;
  return [...shown.matchAll(depends)].flatMap(([, list]) =>
    list.split(/[,|]/).flatMap((part) => /^\s*(linux-(?:image|binary|modules)-\d\S*)/.exec(part)?.[1] ?? []),
  );
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
