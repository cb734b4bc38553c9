/**
 * The state file of a restore journal: entries go in and survive the process; nothing but entries that may be written
 * comes out. A file that is broken, or that somebody else could have written, is an error and is left as it is.
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

/** What is to be put back into one file. */
export interface JournalEntry {
  /** Relative to the root of tracefs, or `/sys/block/DISK/trace/enable`. */
  file: string;
  /** Its text before; '' for lists, which are used only when they are empty. */
  before: string;
  /** What it reads as since we wrote it, in normal form. Absent: it was about to be written. */
  left?: string;
  /** What was appended to a list. */
  added?: string[];
  /** Tracers that need it as it is now. */
  owners: string[];
}

const VERSION = 1;
const MOST_BYTES = 1 << 20;
const MOST_TEXT = 1 << 16;
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

export function stateFileOf(stateDir: string, name: string): string {
  return join(stateDir, `${name}.journal.json`);
}

/** Where it is written before it takes its place; a kill in between leaves it. */
const unfinished = (file: string) => `${file}.new`;

/** Whether anything is there of an agent's journal, finished or not. */
export function stateIsThere(stateDir: string, name: string): boolean {
  const file = stateFileOf(stateDir, name);
  return existsSync(file) || existsSync(unfinished(file));
}

/** Changes with every boot, after which no value is as it was. */
export function bootId(file = BOOT_ID_FILE): string {
  return readText(file).trim();
}

/**
 * Entries of the state file, in the order they were made; none where there is no file, or it is of another boot.
 * Throws `KernelError` when it cannot be read or trusted.
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
    throw broken('it is no journal of this version');
  if (!Array.isArray(state.entries)) throw broken('it has no entries');
  const entries = state.entries.map((entry: unknown) => {
    if (isEntry(entry)) return entry;
    throw broken(`it has an entry that may not be: ${JSON.stringify(entry).slice(0, 200)}`);
  });
  if (new Set(entries.map((entry) => entry.file)).size < entries.length)
    throw broken('it names a file twice');
  return state.boot === boot ? entries : [];
}

function readTrusted(file: string): string | undefined {
  let fd: number;
  try {
    // Not blocking: what lies there could be a pipe.
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const errno = errnoOf(error);
    // No directory either: whoever wants to write there will hear of it.
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
  if (!stats.isFile()) return 'it is no regular file';
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.()) return `it belongs to uid ${stats.uid}`;
  if ((stats.mode & 0o022) !== 0) return 'others may write it';
  return stats.size > MOST_BYTES ? `it has ${stats.size} bytes` : undefined;
}

function distrust(file: string, why: string): KernelError {
  const remedy =
    'nothing was put back; see what it says, put back by hand what is to be, and remove the file';
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
 * Puts the entries into the state file, whole or not at all; without entries there is no file. Makes the directory,
 * open to its owner alone. `neededBy` is what the `KernelError` says that is thrown where that cannot be.
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

/** Not by `rmSync`, whose errors carry no code where the file system is read-only. */
function removeIfThere(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'ENOENT' && errno !== 'ENOTDIR') throw error;
  }
}

/** With its parents. Not by `recursive`: Node then tries for ever where a file system takes no directories. */
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

/** So that the renaming outlives the machine too; some file systems cannot, and a boot voids the journal anyway. */
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
