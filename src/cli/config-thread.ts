/** Entry point of the thread that reads the config of `run` (see load-config.ts). */
import { parentPort, workerData } from 'node:worker_threads';
import { loadAgentConfig } from '../agent/main/compose-config.ts';
import { UsageError } from '../model/errors.ts';

try {
  parentPort?.postMessage({ config: loadAgentConfig(workerData) });
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  parentPort?.postMessage({ problems: error.message });
}
