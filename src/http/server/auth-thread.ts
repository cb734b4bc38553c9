/** Entry point of the thread that compares passwords with hashes, one at a time. */
import { parentPort } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';

export interface Question {
  password: string;
  hash: string;
}

parentPort?.on('message', ({ password, hash }: Question) => {
  parentPort?.postMessage(compareSync(password, hash));
});
