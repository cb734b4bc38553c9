/** Loads and saves the state file of a restore journal. Refuses files that are malformed or cannot be trusted. */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, KernelError } from '../../model/errors.ts';
import { readText, refusal } from '../files.ts';
import { formOf } from './control-forms.ts';

/** How to restore one file. */
export interface JournalEntry {
  /** Relative to the root of tracefs, or `/sys/block/DISK/trace/enable`. */
  file: string;
  /** Text before the agent's first write. For lists, always '', because the agent uses a list only if it is empty. */
  before: string;
  /** Normal form of the text after the agent's last write. Undefined for lists, and while no write is complete. */
  left?: string;
  /** Values that were appended to a list. */
  added?: string[];
  /** Owners (see `owners.ts`) that need the current value of the file. */
  owners: string[];
}

const VERSION = 1;
const MOST_BYTES = 1 << 20;
const MOST_TEXT = 1 << 16;
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

export function stateFileOf(stateDir: string, name: string): string {
  return join(stateDir, `${name}.journal.json`);
}

/** Temporary name of the state file. A file with this name remains if the process is killed during a write. */
const unfinished = (file: string) => `${file}.new`;

/** Whether an agent's state file exists, even if it was not written completely. */
export function stateIsThere(stateDir: string, name: string): boolean {
  const file = stateFileOf(stateDir, name);
  return existsSync(file) || existsSync(unfinished(file));
}

/** Entries from another boot are ignored, because a reboot resets all control files. */
export function bootId(file = BOOT_ID_FILE): string {
  return readText(file).trim();
}

/** Returns the entries, oldest first; none if the file is missing or from another boot. Throws `KernelError`. */
export function loadEntries(file: string, boot: string): JournalEntry[] {
  const text = readTrusted(file);
  if (text === undefined) return [];
  const broken = (why: string) => distrust(file, why);
  let state: unknown;
  try {
    state = JSON.parse(text);
  } catch {
    throw broken('the file is not JSON');
  }
  if (!isRecord(state) || state.version !== VERSION || typeof state.boot !== 'string')
    throw broken('the file is not a journal of this version');
  if (!Array.isArray(state.entries)) throw broken('the file has no entries');
  const entries = state.entries.map((entry: unknown) => {
    if (isEntry(entry)) return entry;
    throw broken(`the file has an entry that is not allowed: ${JSON.stringify(entry).slice(0, 200)}`);
  });
  if (new Set(entries.map((entry) => entry.file)).size < entries.length)
    throw broken('the journal lists the same file twice');
  return state.boot === boot ? entries : [];
}

function readTrusted(file: string): string | undefined {
  let fd: number;
  try {
    // Use O_NONBLOCK, because the file could be a pipe, and opening a pipe blocks until it has a writer.
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const errno = errnoOf(error);
    // If a part of the path is not a directory (ENOTDIR), the next save reports this error.
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    if (errno === 'ELOOP') throw distrust(file, 'the file is a symbolic link');
    throw refusal(error, { file, action: 'read the restore journal' });
  }
  try {
    const problem = problemOf(fstatSync(fd));
    if (problem !== undefined) throw distrust(file, problem);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

function problemOf(stats: Stats): string | undefined {
  if (!stats.isFile()) return 'the file is not a regular file';
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.()) return `the file belongs to uid ${stats.uid}`;
  if ((stats.mode & 0o022) !== 0) return 'other users may write to the file';
  return stats.size > MOST_BYTES ? `the file is too large (${stats.size} bytes)` : undefined;
}

function distrust(file: string, why: string): KernelError {
  const remedy = 'nothing was restored; read the file, restore by hand what you need, and remove the file';
  return new KernelError({ file, errno: '', action: 'use the restore journal', remedy: `${why}; ${remedy}` });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MOST_TEXT && !value.includes('\0');
}

const areTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

function isEntry(value: unknown): value is JournalEntry {
  return (
    isRecord(value) &&
    isText(value.file) &&
    formOf(value.file) !== undefined &&
    isText(value.before) &&
    (value.left === undefined || isText(value.left)) &&
    (value.added === undefined || areTexts(value.added)) &&
    areTexts(value.owners)
  );
}

/** Replaces the state file atomically, or removes it if there are no entries. Throws `KernelError`. */
export function saveEntries(
  stateDir: string,
  file: string,
  state: { boot: string; entries: readonly JournalEntry[] },
  neededBy: string,
): void {
  const { boot, entries } = state;
  try {
    const temporary = unfinished(file);
    removeIfThere(temporary);
    if (entries.length === 0) {
      removeIfThere(file);
      return;
    }
    makeDirectory(stateDir);
    writeSynced(temporary, `${JSON.stringify({ version: VERSION, boot, entries }, undefined, 1)}\n`);
    renameSync(temporary, file);
  } catch (error) {
    const remedy = `${neededBy} needs it: choose a writable directory with --state.dir`;
    throw refusal(error, { file, action: 'write the restore journal', remedy });
  }
  syncDirectory(stateDir);
}

/** Removes a file if it exists. On a read-only file system, `rmSync` would throw errors without a code. */
function removeIfThere(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'ENOENT' && errno !== 'ENOTDIR') throw error;
  }
}

/** Creates the directory and its parents. Node's option `recursive` loops forever on some special file systems. */
function makeDirectory(dir: string, mayMakeParent = true): void {
  try {
    mkdirSync(dir, 0o700);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EEXIST') return;
    if (errno !== 'ENOENT' || !mayMakeParent || dirname(dir) === dir) throw error;
    makeDirectory(dirname(dir));
    makeDirectory(dir, false);
  }
}

function writeSynced(file: string, text: string): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(file, flags, 0o600);
  try {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Puts the rename on disk. Ignores errors, because the journal is needed only until the next reboot. */
function syncDirectory(dir: string): void {
  try {
    const fd = openSync(dir, constants.O_RDONLY);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {}
}
