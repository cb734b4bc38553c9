/**
 * Child of tracefs.test.ts: `hold ROOT NAME` holds a recording instance until it is killed; `learn` prints its threads.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { createInstance } from '../../src/tracefs/instance.ts';
import { learnOwnThreads, ownThreadIds } from '../../src/tracefs/threads.ts';

const [mode, root, name] = isMainThread ? process.argv.slice(2) : (workerData as string[]);

if (mode === 'spin') {
  await sleep(60_000);
} else {
  const instance = createInstance(root, name);
  instance.prepare({ bufferBytesPerCpu: 1 << 20, subbufferBytes: 16384, clock: 'mono' });
  if (mode === 'hold') {
    instance.enable(['sched:sched_switch']);
    instance.start();
    console.log(JSON.stringify({ ready: true }));
    await sleep(60_000);
  } else {
    // This thread writes nothing, so the agent's code cannot learn its id from a marker that the thread writes.
    const worker = new Worker(new URL(import.meta.url), { workerData: ['spin', root, name] });
    await new Promise((resolve) => worker.once('online', resolve));
    try {
      console.log(JSON.stringify({ ...(await learnOwnThreads(instance)), inner: ownThreadIds() }));
      // The threads must exist until the parent has checked their ids and writes a line.
      await new Promise((resolve) => process.stdin.once('data', resolve).once('end', resolve));
      process.stdin.destroy();
    } finally {
      instance.remove();
      await worker.terminate();
    }
  }
}
