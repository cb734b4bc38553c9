/**
 * Compares passwords with bcrypt hashes in a thread of its own, so that neither a scrape nor a drain waits for it. The
 * thread is there while it is needed, for it takes some megabytes: who has been let in once is remembered.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Question } from './auth-thread.ts';

const IDLE_MS = 60_000;
/** bcrypt works on four kilobytes. */
const LIMITS = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 };

export interface Hasher {
  /** Starts the thread, because somebody is about to come: under load that takes longer than a password. */
  prepare(): void;
  /** Whether it is the password; one at a time. Rejects when the thread dies. */
  compare(password: string, hash: string): Promise<boolean>;
  /** Ends the thread. */
  close(): void;
}

export function createHasher(idleMs = IDLE_MS): Hasher {
  let worker: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;
  let asked: { resolve(right: boolean): void; reject(error: Error): void } | undefined;

  const start = (): Worker => {
    // Compiled, the neighbour is a .js file like this one.
    const entry = new URL(`./auth-thread${extname(import.meta.url)}`, import.meta.url);
    const started = new Worker(entry, { name: 'ftrace-auth', resourceLimits: LIMITS });
    started.unref();
    started.on('message', (right: boolean) => {
      asked?.resolve(right);
      asked = undefined;
      idle = setTimeout(close, idleMs).unref();
    });
    const gone = (error: unknown) => {
      if (worker !== started) return;
      worker = undefined;
      asked?.reject(error instanceof Error ? error : new Error(`it ended with status ${error}`));
      asked = undefined;
    };
    started.on('error', gone).on('exit', gone);
    return started;
  };
  const close = () => {
    clearTimeout(idle);
    const ending = worker;
    worker = undefined;
    asked?.reject(new Error('it was told to end'));
    asked = undefined;
    void ending?.terminate();
  };

  const ready = (): Worker => {
    clearTimeout(idle);
    worker ??= start();
    return worker;
  };

  return {
    prepare: () => {
      ready();
      idle = setTimeout(close, idleMs).unref();
    },
    compare: (password, hash) => {
      const asking = ready();
      const { promise, resolve, reject } = Promise.withResolvers<boolean>();
      asked = { resolve, reject };
      asking.postMessage({ password, hash } satisfies Question);
      return promise;
    },
    close,
  };
}
