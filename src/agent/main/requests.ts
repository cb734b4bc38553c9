/** Requests of the main thread that the capture thread has not answered yet. */
import type { FromCapture, ToCapture } from '../contract/messages.ts';

/** A capture thread that has not answered after this time is stuck. Normally it answers within milliseconds. */
const ANSWER_TIMEOUT_MS = 5_000;

export type Request = ToCapture extends infer T ? (T extends { id: number } ? Omit<T, 'id'> : never) : never;

export interface Requests {
  /** Rejects if the capture thread refuses, does not answer in time, or fails. */
  send<T>(request: Request, timeoutMs?: number): Promise<T>;
  settle(answer: Extract<FromCapture, { kind: 'answer' | 'refused' }>): void;
  /** Rejects all waiting requests. */
  fail(reason: string): void;
  /** Message about a request that has timed out; '' if the thread has answered since then. */
  overdue(): string;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

export function makeRequests(post: (message: ToCapture) => void): Requests {
  const waiting = new Map<number, Waiting>();
  let nextId = 1;
  let overdue = '';

  const take = (id: number): Waiting | undefined => {
    const request = waiting.get(id);
    clearTimeout(request?.timer);
    waiting.delete(id);
    return request;
  };

  return {
    send: <T>(request: Request, timeoutMs = ANSWER_TIMEOUT_MS) =>
      new Promise<T>((resolve, reject) => {
        const id = nextId++;
        const timer = setTimeout(() => {
          overdue = `the capture thread did not answer within ${timeoutMs / 1000} s`;
          take(id)?.reject(new Error(overdue));
        }, timeoutMs);
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject, timer });
        post({ ...request, id } as ToCapture);
      }),
    settle: (answer) => {
      overdue = '';
      const request = take(answer.id);
      if (answer.kind === 'answer') request?.resolve(answer.value);
      else request?.reject(new Error(answer.reason));
    },
    fail: (reason) => {
      for (const id of [...waiting.keys()]) take(id)?.reject(new Error(reason));
    },
    overdue: () => overdue,
  };
}
