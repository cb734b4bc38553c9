/** Compares passwords with bcrypt hashes in a separate thread. The thread ends after a minute without work. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Question } from './auth-thread.ts';

const IDLE_MS = 60_000;
/** Memory limits of the thread. bcrypt itself needs only four kilobytes. */
const LIMITS = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 };

export interface Hasher {
  /** Starts the thread before the first comparison, because under load the start takes longer than a comparison. */
  prepare(): void;
  /** Rejects if the thread ends. The caller must wait for the result before the next call. */
  compare(password: string, hash: string): Promise<boolean>;
  close(): void;
}

export function createHasher(idleMs = IDLE_MS): Hasher {
  let worker: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;
  let pending: { resolve(right: boolean): void; reject(error: Error): void } | undefined;

  const start = (): Worker => {
    // auth-thread has the same extension as this file: .ts in the sources, .js in a compiled package.
    const entry = new URL(`./auth-thread${extname(import.meta.url)}`, import.meta.url);
    const started = new Worker(entry, { name: 'ftrace-auth', resourceLimits: LIMITS });
    started.unref();
    started.on('message', (right: boolean) => {
      pending?.resolve(right);
      pending = undefined;
      idle = setTimeout(close, idleMs).unref();
    });
    const gone = (error: unknown) => {
      if (worker !== started) return;
      worker = undefined;
      pending?.reject(
        error instanceof Error
          ? error
          : new Error(`the thread that checks passwords ended with status ${error}`),
      );
      pending = undefined;
    };
    started.on('error', gone).on('exit', gone);
    return started;
  };
  const close = () => {
    clearTimeout(idle);
    const ending = worker;
    worker = undefined;
    pending?.reject(new Error('the server is shutting down'));
    pending = undefined;
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
      pending = { resolve, reject };
      asking.postMessage({ password, hash } satisfies Question);
      return promise;
    },
    close,
  };
}
