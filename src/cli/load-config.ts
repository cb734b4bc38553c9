/** Loads the config, without loading the libraries for schemas and YAML before they are needed. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { ConfigSources } from '../config/load.ts';
import type { AgentConfig } from '../config/schema.ts';
import { UsageError } from '../model/errors.ts';

type Answer = { config: AgentConfig } | { problems: string };

/** Rejects with a `UsageError` if the config is invalid. */
export async function loadConfig(sources: ConfigSources): Promise<AgentConfig> {
  const { loadAgentConfig } = await import('../agent/main/compose-config.ts');
  return loadAgentConfig(sources);
}

/**
 * Like `loadConfig`, but in a thread that then ends. V8 frees the code of a library only together with its thread, and
 * these libraries would occupy 6 MiB in the main thread. Call this only before the agent records events, because the
 * agent would not know that the thread is its own.
 */
export function loadConfigInThread(sources: ConfigSources): Promise<AgentConfig> {
  return new Promise((resolve, reject) => {
    const entry = new URL(`./config-thread${extname(import.meta.url)}`, import.meta.url);
    const workerData = { ...sources, env: { ...sources.env } };
    const worker = new Worker(entry, { workerData, name: 'ftrace-config' });
    let answer: Answer | undefined;
    worker.on('message', (message: Answer) => {
      answer = message;
    });
    worker.on('error', reject);
    worker.on('exit', (status) => {
      if (answer === undefined)
        reject(new Error(`the thread that reads the config ended with status ${status}`));
      else if ('problems' in answer) reject(new UsageError(answer.problems));
      else resolve(answer.config);
    });
  });
}
