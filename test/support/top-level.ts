/**
 * A machine has one top level of tracefs. A test file that needs it waits until no other test file and no other program
 * uses it. If that takes too long, the tests are skipped with a reason that names the user; in continuous integration
 * they fail.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { topLevelUser } from '../../src/tracefs/journal/top-level-user.ts';
import { markersRefused } from '../../src/tracefs/markers.ts';
import { findTracefs } from '../../src/tracefs/mount.ts';

/** The process whose turn it is locks this file, and writes its pid and its script into the file. */
const TURN = '/run/ftrace-exporter-tests.lock';
/** Five minutes, because other test files use the top level for minutes. */
const TURN_WAIT_MS = 300_000;
const WAIT_MS = Number(process.env.TOP_LEVEL_WAIT_S ?? 30) * 1000;
const LOOK_EVERY_MS = 200;

/** Reserves the top level for this process until it ends. Returns undefined, or the reason to skip the tests. */
export async function topLevelTurn(): Promise<string | undefined> {
  const root = findTracefs({ mayMount: true });
  const reason = (await stays(turnHolder, TURN_WAIT_MS)) ?? (await stays(async () => use(root), WAIT_MS));
  if (reason === undefined || !process.env.CI) return reason;
  throw new Error(reason);
}

/** Waits until `look` finds no user. Returns undefined, or a sentence about the user that is left after `waitMs`. */
async function stays(look: () => Promise<string | undefined>, waitMs: number): Promise<string | undefined> {
  for (const deadline = performance.now() + waitMs; ; await sleep(LOOK_EVERY_MS)) {
    const user = await look();
    if (user === undefined) return undefined;
    if (performance.now() >= deadline)
      return `the top level of tracefs was in use for ${waitMs / 1000} s: ${user}`;
  }
}

/**
 * Wraps a test that fails if another process uses the top level at the same time. If it fails while another process has
 * files of the top level open, the failure proves nothing: the test is skipped, with a reason that names the process
 * and the files. In continuous integration it fails.
 */
export function undisturbed(
  body: (t: TestContext) => void | Promise<void>,
): (t: TestContext) => Promise<void> {
  const root = findTracefs({ mayMount: true });
  return async (t) => {
    const seen = new Set<string>();
    const look = () => {
      for (const one of openers(root)) seen.add(one);
    };
    const timer = setInterval(look, LOOK_EVERY_MS);
    try {
      await body(t);
    } catch (error) {
      look();
      if (seen.size === 0 || process.env.CI) throw error;
      t.diagnostic(String(error));
      t.skip(`it failed while others used the top level of tracefs: ${[...seen].join('; ')}`);
    } finally {
      clearInterval(timer);
    }
  };
}

let isOurTurn = false;

/** Tries to lock `TURN` for this process. Returns undefined, or a sentence about the process that has the lock. */
async function turnHolder(): Promise<string | undefined> {
  if (isOurTurn) return undefined;
  // The helper ends when its stdin closes, so it ends with this process, even if this process is killed.
  const holder = spawn('flock', ['-n', TURN, 'sh', '-c', 'echo; read _'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  isOurTurn = await new Promise<boolean>((resolve, reject) => {
    holder.once('error', reject);
    holder.stdout.once('data', () => resolve(true));
    holder.once('exit', () => resolve(false));
  });
  if (!isOurTurn) return `the tests of another run have their turn (${readFileSync(TURN, 'utf8').trim()})`;
  writeFileSync(TURN, `pid ${process.pid}, ${process.argv[1]}\n`);
  holder.unref();
  for (const pipe of [holder.stdin, holder.stdout]) (pipe as Socket).unref();
  return undefined;
}

/** Returns who uses the top level, and which processes have its files open; undefined if nobody uses the top level. */
function use(root: string): string | undefined {
  const user =
    topLevelUser(root) ??
    (readFileSync(join(root, 'tracing_on'), 'latin1').startsWith('0')
      ? 'somebody has switched off its recording: tracing_on is 0'
      : markersRefused(root, ''));
  if (user === undefined) return undefined;
  const open = openers(root);
  return `${user} (${open.length > 0 ? `open by ${open.join('; ')}` : 'no process has a file of it open'})`;
}

/**
 * Returns the processes, except this one and its descendants, that have files of the top level open. Compares device
 * numbers, because paths are different in a container.
 */
function openers(root: string): string[] {
  const { dev } = statSync(root);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const files = readdirSync(`/proc/${pid}/fd`)
          .map((fd) => topLevelFile(`/proc/${pid}/fd/${fd}`, dev))
          .filter((file) => file !== undefined);
        if (files.length === 0 || isOfTest(Number(pid))) return [];
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        return [`pid ${pid}, ${command.slice(0, 100)}, has ${[...new Set(files)].slice(0, 3).join(', ')}`];
      } catch {
        return [];
      }
    });
}

/** Whether this is our process or one of its descendants. */
function isOfTest(pid: number): boolean {
  for (let at = pid; at > 1; ) {
    if (at === process.pid) return true;
    at = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${at}/status`, 'latin1'))?.[1] ?? 0);
  }
  return false;
}

/** The file of the top level that a descriptor has open, if any. */
function topLevelFile(descriptor: string, dev: number): string | undefined {
  try {
    const file = readlinkSync(descriptor);
    if (!file.startsWith('/') || file.includes('/instances/')) return undefined;
    const stats = statSync(descriptor);
    return stats.dev === dev && stats.isFile() ? file : undefined;
  } catch {
    return undefined;
  }
}
