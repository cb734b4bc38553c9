/** Finds tracefs, or mounts it if it is not mounted (needs CAP_SYS_ADMIN). */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, KernelError } from '../model/errors.ts';
import { tryReadText } from './files.ts';

const USUAL_PLACE = '/sys/kernel/tracing';
/** Path in the container at which deploy/Dockerfile and the Helm chart expect the host's tracefs. */
const PLACE_IN_CONTAINERS = '/tracing';

/** System files and commands that `findTracefs` uses. Tests replace them. */
export interface MountSystem {
  mountsFile: string;
  lockdownFile: string;
  uid: number;
  /** Mounts tracefs at `target`. Returns '' on success, or the reason for the failure. */
  mount(target: string): string;
}

const LIVE: Omit<MountSystem, 'uid'> = {
  mountsFile: '/proc/self/mounts',
  lockdownFile: '/sys/kernel/security/lockdown',
  mount: mountTracefs,
};

/** Returns the root of tracefs. If `path` is given, accepts only this directory. Throws a `KernelError` with advice. */
export function findTracefs(
  options: { path?: string | undefined; mayMount: boolean },
  system: MountSystem = { ...LIVE, uid: process.getuid?.() ?? 0 },
): string {
  if (options.path) return validated(options.path, system);
  const mounts = parseMounts(tryReadText(system.mountsFile) ?? '');
  const tracefs = mounts.filter((mount) => mount.type === 'tracefs');
  tracefs.sort((a, b) => Number(a.readOnly) - Number(b.readOnly));
  const usable = tracefs.find((mount) => looksRight(mount.dir));
  if (usable !== undefined) return usable.dir;
  // When a program accesses the directory `tracing` of debugfs, the kernel mounts tracefs on this directory.
  const debugfs = mounts
    .filter((mount) => mount.type === 'debugfs')
    .map((mount) => join(mount.dir, 'tracing'));
  const below = debugfs.find(looksRight);
  if (below !== undefined) return below;
  if (tracefs.length > 0) return validated(tracefs[0].dir, system);
  if (!options.mayMount) throw nowhere(USUAL_PLACE, 'ENOENT', '', system);
  const failure = system.mount(USUAL_PLACE);
  const errno = /permi/i.test(failure) ? 'EPERM' : '';
  if (failure !== '') throw nowhere(USUAL_PLACE, errno, failure, system);
  return validated(USUAL_PLACE, system);
}

/** Programs outside the agent's container cannot use the path that a file has in the container. */
export function pathOnHost(root: string, ...parts: string[]): string {
  return join(root === PLACE_IN_CONTAINERS ? USUAL_PLACE : root, ...parts);
}

interface Mount {
  dir: string;
  type: string;
  readOnly: boolean;
}

/** Parses /proc/self/mounts: lines `device dir type options 0 0`, with octal escapes for spaces in names. */
export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [, dir, type, options] = line.split(' ');
    if (options === undefined) return [];
    return [{ dir: unescapeOctal(dir), type, readOnly: options.split(',').includes('ro') }];
  });
}

/** The kernel escapes only ASCII characters, so each escape is a whole character. */
function unescapeOctal(name: string): string {
  return name.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

function looksRight(dir: string): boolean {
  return existsSync(join(dir, 'instances')) && existsSync(join(dir, 'trace_clock'));
}

function isEmptyDirectory(dir: string): boolean {
  try {
    return readdirSync(dir).length === 0;
  } catch {
    return false;
  }
}

function validated(dir: string, system: MountSystem): string {
  if (isEmptyDirectory(dir)) {
    throw new KernelError({
      file: dir,
      errno: 'ENOENT',
      action: 'use tracefs at',
      remedy:
        'the directory is empty: tracefs is not mounted at its source on the host ' +
        `(mount -t tracefs nodev ${USUAL_PLACE} on the host), or the host's kernel is locked down (lockdown=confidentiality)`,
    });
  }
  for (const file of ['instances', 'trace_clock']) {
    try {
      accessSync(join(dir, file), constants.R_OK);
    } catch (error) {
      throw nowhere(join(dir, file), errnoOf(error), '', system);
    }
  }
  return dir;
}

function nowhere(file: string, errno: string, reason: string, system: MountSystem): KernelError {
  const hints = reason === '' ? [] : [`mounting it failed: ${reason}`];
  const lockdown = tryReadText(system.lockdownFile) ?? '';
  if (lockdown.includes('[confidentiality]'))
    hints.push(
      'the kernel is locked down (lockdown=confidentiality), which forbids tracing: boot without lockdown',
    );
  if (system.uid !== 0) hints.push(`run as root (this is uid ${system.uid}): only root may use tracefs`);
  hints.push(
    `on a host: mount -t tracefs nodev ${USUAL_PLACE}`,
    `in a container: mount the host's tracefs at ${PLACE_IN_CONTAINERS} and give --path.tracefs ${PLACE_IN_CONTAINERS}`,
  );
  return new KernelError({
    file,
    errno,
    action: 'use tracefs at',
    remedy: hints.join('; '),
  });
}

function mountTracefs(target: string): string {
  const done = spawnSync('mount', ['-t', 'tracefs', 'nodev', target], { encoding: 'utf8', timeout: 10_000 });
  if (done.status === 0) return '';
  return done.error?.message ?? (done.stderr.trim() || `mount ended with ${done.status ?? done.signal}`);
}
