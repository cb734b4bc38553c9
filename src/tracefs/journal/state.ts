/**
 * The state file of a restore journal: its entries survive the process. Only entries that may be written are accepted. A
 * file that is broken, or that somebody else could have written, is an error and is not changed.
 */
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

/** What to restore in one file. */
export interface JournalEntry {
  /** Relative to the root of tracefs, or `/sys/block/DISK/trace/enable`. */
  file: string;
  /** Text before the first write; '' for lists, because only empty lists are used. */
  before: string;
  /** Text after our write, in normal form. Absent until our write is complete. */
  left?: string;
  /** Values that were appended to a list. */
  added?: string[];
  /** Tracers that need the file as it is now. */
  owners: string[];
}

const VERSION = 1;
const MOST_BYTES = 1 << 20;
const MOST_TEXT = 1 << 16;
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

export function stateFileOf(stateDir: string, name: string): string {
  return join(stateDir, `${name}.journal.json`);
}

/** Temporary name while it is written; a kill leaves it behind. */
const unfinished = (file: string) => `${file}.new`;

/** Whether an agent's journal exists, finished or not. */
export function stateIsThere(stateDir: string, name: string): boolean {
  const file = stateFileOf(stateDir, name);
  return existsSync(file) || existsSync(unfinished(file));
}

/** Changes with every boot, which resets all files. */
export function bootId(file = BOOT_ID_FILE): string {
  return readText(file).trim();
}

/**
 * Entries of the state file, oldest first; none if there is no file, or it is from another boot. Throws `KernelError` if
 * it cannot be read or trusted.
 */
export function loadEntries(file: string, boot: string): JournalEntry[] {
  const text = readTrusted(file);
  if (text === undefined) return [];
  const broken = (why: string) => distrust(file, why);
  let state: unknown;
  try {
    state = JSON.parse(text);
  } catch {
    throw broken('it is not JSON');
  }
  if (!isRecord(state) || state.version !== VERSION || typeof state.boot !== 'string')
    throw broken('it is not a journal of this version');
  if (!Array.isArray(state.entries)) throw broken('it has no entries');
  const entries = state.entries.map((entry: unknown) => {
    if (isEntry(entry)) return entry;
    throw broken(`it has an entry that is not allowed: ${JSON.stringify(entry).slice(0, 200)}`);
  });
  if (new Set(entries.map((entry) => entry.file)).size < entries.length)
    throw broken('it lists the same file twice');
  return state.boot === boot ? entries : [];
}

function readTrusted(file: string): string | undefined {
  let fd: number;
  try {
    // Must not block: the file could be a pipe.
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const errno = errnoOf(error);
    // Even if the directory is not one: a later write will report that.
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    if (errno === 'ELOOP') throw distrust(file, 'it is a symbolic link');
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
  if (!stats.isFile()) return 'it is not a regular file';
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.()) return `it belongs to uid ${stats.uid}`;
  if ((stats.mode & 0o022) !== 0) return 'others may write it';
  return stats.size > MOST_BYTES ? `it has ${stats.size} bytes` : undefined;
}

function distrust(file: string, why: string): KernelError {
  const remedy = 'nothing was restored; read it, restore by hand what you need, and remove the file';
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

/**
 * Writes the entries to the state file, all or none; removes the file if there are none. Makes the directory, accessible
 * only to its owner. `neededBy` is part of the message of the `KernelError` if writing fails.
 */
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
    const remedy = `${neededBy} needs it: give a directory that can be written with --state.dir`;
    throw refusal(error, { file, action: 'write the restore journal', remedy });
  }
  syncDirectory(stateDir);
}

/** `rmSync` would throw errors without a code on a read-only file system. */
function removeIfThere(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'ENOENT' && errno !== 'ENOTDIR') throw error;
  }
}

/** Makes the directory and its parents. Node's `recursive` would loop forever on a file system without directories. */
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

/** Makes the rename survive a crash of the machine. Some file systems cannot, but a boot voids the journal anyway. */
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
