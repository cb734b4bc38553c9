/** Reloads the config while the agent runs. Keeps the old config if the new one is invalid or needs a restart. */
import { declareReloads } from '../agent/main/reload-metrics.ts';
import { restartKeys } from '../config/restart-keys.ts';
import type { AgentConfig } from '../config/schema.ts';
import { createShared } from '../http/server/shared.ts';
import type { MetricStore } from '../metrics/store.ts';
import { reasonOf, UsageError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import { contentOf } from './config-content.ts';

/** Time between checks of the file. The kubelet updates a ConfigMap's file only about once a minute. */
export const WATCH_EVERY_MS = 5000;

export interface ConfigSource {
  /** Path of the config file. Undefined if the config comes only from flags and the environment. */
  file: string | undefined;
  /** Content of the file just before the agent loaded its first config from it. Undefined if nothing will watch it. */
  loadedFrom: string | undefined;
  /** Reads and checks the config. Rejects with a `UsageError` if the config is invalid. */
  load(): Promise<AgentConfig>;
}

export interface ReloadParts {
  source: ConfigSource;
  store: MetricStore;
  log: Log;
  /** Switches to a config. If the switch fails, keeps the old config and rejects with the reason. */
  apply(next: AgentConfig): Promise<void>;
}

export interface Reloader {
  /** Resolves to '' or to why the reload failed. Never rejects. `cause` appears in the log. */
  reload(cause: string): Promise<string>;
  /** Reloads whenever the content of the file changes. Returns a function that stops watching the file. */
  watch(everyMs?: number): () => void;
}

export function makeReloader(start: AgentConfig, { source, store, log, apply }: ReloadParts): Reloader {
  const ended = declareReloads(store);
  const { file } = source;
  let current = start;

  const attempt = async (): Promise<void> => {
    const next = await source.load();
    const keys = restartKeys(current, next);
    if (keys.length > 0) throw new UsageError(`these keys need a restart: ${keys.join(', ')}`);
    await apply(next);
    current = next;
  };
  const causes: string[] = [];
  // One reload runs at a time. Requests that arrive during a reload share the next one.
  const shared = createShared(async () => {
    const cause = causes.splice(0).join(', ');
    try {
      await attempt();
      ended(true);
      log.info({ cause, file }, 'config reloaded');
      return '';
    } catch (error) {
      ended(false);
      const reason = error instanceof UsageError ? error.message : reasonOf(error);
      log.error({ cause, file, reason }, 'config not reloaded; the old one stays in use');
      return reason;
    }
  });

  const reload = (cause: string): Promise<string> => {
    if (!causes.includes(cause)) causes.push(cause);
    return shared('config');
  };

  return {
    reload,
    watch: (everyMs = WATCH_EVERY_MS) => {
      if (file === undefined) return () => {};
      log.info({ file, intervalSeconds: everyMs / 1000 }, 'watching the config for changes');
      let seen = source.loadedFrom;
      const look = () => {
        const content = contentOf(file);
        if (content === seen) return;
        seen = content;
        void reload('the file has changed');
      };
      // The file may have changed since the agent started.
      look();
      const timer = setInterval(look, everyMs);
      timer.unref();
      return () => clearInterval(timer);
    },
  };
}
