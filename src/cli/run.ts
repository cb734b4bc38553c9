/** `run`: runs an agent and its HTTP server until a signal. Then removes the tracefs instance and restores settings. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, type AgentOptions, startAgent } from '../agent/main/supervise.ts';
import type { AgentConfig } from '../config/schema.ts';
import { createProcessMetrics } from '../export/process-metrics.ts';
import { createApp } from '../http/pages/app.ts';
import type { HttpDeps } from '../http/pages/deps.ts';
import { type Listening, listen } from '../http/server/listen.ts';
import { createRefusals, REFUSED_METRIC } from '../http/server/refusals.ts';
import { createStreams } from '../http/server/streams.ts';
import type { WebConfigFile } from '../http/server/web-config-file.ts';
import { MetricStore } from '../metrics/store.ts';
import { reasonOf, UsageError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import { cleanUp } from './cleanup.ts';
import { demoCapture, whyNoTracing } from './demo.ts';
import { onEndSignals } from './ending.ts';
import { EXIT_FAILED } from './failure.ts';
import { type OpenHistory, openHistory } from './history.ts';
import { createLog, type RunLog } from './log.ts';
import { type Outputs, openOutputs } from './outputs.ts';
import { type ConfigSource, makeReloader } from './reload.ts';
import { REPLAY_LABELS } from './replay-labels.ts';
import { packageVersion } from './version.ts';

/** Longest wait for the capture thread after a second signal. The thread cannot end during a system call. */
const MOST_TERMINATING_MS = 2000;

export interface RunOptions extends Pick<AgentOptions, 'replayFile' | 'replayInstance'> {
  /** Source of the config for reloads. If absent, the agent cannot reload its config. */
  source?: ConfigSource;
  /** Whether to reload when the config file changes. */
  watchesConfig?: boolean;
  /** Whether to allow reloads over HTTP. */
  allowsLifecycle?: boolean;
  /** Whether to serve the bundled recording if tracefs is not available. */
  demoIfUnavailable?: boolean;
}

/** Resolves to the exit status when a signal ends the agent. If the agent cannot start, cleans up and rejects. */
export async function run(config: AgentConfig, options: RunOptions): Promise<number> {
  const log = createLog(config.log);
  const replayFile = options.replayFile ?? (options.demoIfUnavailable ? demoInstead(config, log) : undefined);
  refuseNothing(config, replayFile !== undefined);
  const version = packageVersion();
  const { configFile, maxRequests, listenAddress } = config.web;
  const web = configFile === undefined ? undefined : await openWebConfig(configFile, log);
  // Do not count series here, because the store of the capture thread already exports `ftrace_exporter_series`.
  const store = new MetricStore({ countsSeries: false });
  const refused = store.counter(REFUSED_METRIC);
  const refusals = createRefusals(log, (reason) => refused.add(refused.slot([reason]), 1));
  const outputs = await openOutputs(config, { log, version, store });
  const startMs = Date.now();
  // Handle end signals from here on, because the instance must be removed before the process ends.
  let terminate = async () => {};
  const end = waitForEnd(log, () =>
    replayFile === undefined ? endAtOnce(config, log, terminate) : undefined,
  );
  const streams = createStreams(refusals);
  let history: OpenHistory | undefined;
  let agent: Agent | undefined;
  let reloading: { reload: HttpDeps['reload']; close(): void } | undefined;
  let server: Listening | undefined;
  let status = EXIT_FAILED;
  try {
    agent = await startAgent(config, {
      log,
      version,
      store,
      onTerminator: (terminator) => {
        terminate = terminator;
      },
      onTraces: outputs.take,
      replayFile,
      replayInstance: options.replayInstance,
    });
    history = await openHistory(config, agent, replayFile !== undefined);
    reloading = openReloading(config, {
      ...options,
      ...{ agent, outputs, store, log, end },
      isReplay: replayFile !== undefined,
    });
    const { reload } = reloading;
    const deps = depsOf(agent, config, { log, version, replayFile, outputs, history, reload });
    const app = createApp(deps, { maxRequests, refusals, streams });
    server = await listen(app, listenAddress, log, { web, maxRequests, refusals });
    const url = `${server.url}${config.web.telemetryPath}`;
    const probes = await probesUp(agent, config);
    log.info({ version, url, page: `${server.url}/`, probes: probes.join(',') || 'none' }, 'serving metrics');
    outputs.start({ ...deps, startMs });
    status = await end.reached;
  } finally {
    reloading?.close();
    history?.stop();
    streams.close();
    await Promise.all([server?.close(), outputs.collectLast()]);
    await agent?.stop().catch((error: unknown) => {
      if (end.isAtOnce()) return;
      status = EXIT_FAILED;
      const reason = reasonOf(error);
      log.error(
        { reason },
        'could not stop cleanly: run `ftrace-exporter cleanup` after this process has exited',
      );
    });
    // Stop the outputs after the agent, because the agent sends its last traces while it stops.
    await outputs.stop();
    end.release();
  }
  log.info({ status }, 'stopped');
  return status;
}

/** Loads the module only if it is needed, because it loads the libraries for schemas and YAML. */
async function openWebConfig(file: string, log: Log): Promise<WebConfigFile> {
  const module = await import('../http/server/web-config-file.ts');
  return module.openWebConfig(file, log);
}

/** Returns the names of working probes; of all enabled probes if the capture thread does not answer. */
async function probesUp(agent: Agent, config: AgentConfig): Promise<string[]> {
  const status = await agent.status().catch(() => undefined);
  return (status?.probes.filter(({ up }) => up) ?? config.probes).map(({ name }) => name);
}

/** Throws a `UsageError` if the config enables nothing: no probe and, for a live agent, no kind of traces either. */
function refuseNothing({ probes, spans }: AgentConfig, isReplay: boolean): void {
  if (probes.length > 0 || (spans !== undefined && !isReplay)) return;
  throw new UsageError(
    isReplay
      ? 'no probe is enabled, so there is nothing to read from a recording'
      : 'no probe and no kind of traces is enabled, so there is nothing to trace',
  );
}

function depsOf(
  agent: Agent,
  config: AgentConfig,
  what: {
    log: Log;
    version: string;
    replayFile: string | undefined;
    outputs: Outputs;
    history: OpenHistory | undefined;
    reload: HttpDeps['reload'];
  },
): HttpDeps {
  const { log, version, replayFile, outputs, history, reload } = what;
  const source = replayFile === undefined ? 'live' : 'replay';
  return {
    telemetryPath: config.web.telemetryPath,
    version,
    constantLabels: source === 'replay' ? REPLAY_LABELS : {},
    scrape: () => agent.scrape(),
    get traces() {
      return outputs.traceStore();
    },
    exemplars: outputs.exemplars,
    reload,
    history: history?.served,
    processMetrics: createProcessMetrics(),
    status: () => agent.status(),
    latency: (tracer) => agent.latency(tracer),
    ready: () => agent.ready(),
    alive: () => agent.alive(),
    source: () => source,
    log,
  };
}

/** Returns the path of the bundled recording if this machine cannot be traced; otherwise undefined. */
function demoInstead(config: AgentConfig, log: Log): string | undefined {
  const reason = whyNoTracing(config);
  if (reason === undefined) return undefined;
  const file = demoCapture(reason);
  log.warn(
    { reason, file },
    'THIS IS A DEMO: cannot trace the kernel of this machine, serving a recording instead',
  );
  return file;
}

/** Sets up reloads by SIGHUP, HTTP and file changes. An agent that serves a recording never reloads. */
function openReloading(
  config: AgentConfig,
  what: Pick<RunOptions, 'source' | 'watchesConfig' | 'allowsLifecycle'> & {
    agent: Agent;
    outputs: Outputs;
    store: MetricStore;
    log: RunLog;
    end: Pick<End, 'onHangUp'>;
    isReplay: boolean;
  },
): { reload: HttpDeps['reload']; close(): void } {
  const { source, agent, outputs, log, store } = what;
  const reloader =
    source === undefined || what.isReplay
      ? undefined
      : makeReloader(config, {
          ...{ source, store, log },
          apply: async (next) => {
            refuseNothing(next, false);
            const { apply, cancel } = await outputs.prepare(next);
            await agent.reload(next).catch((error: unknown) => {
              cancel();
              throw error;
            });
            apply();
            log.setLevel(next.log.level);
          },
        });
  const onHangUp = () => {
    if (reloader !== undefined) void reloader.reload('SIGHUP');
    else
      log.info(
        { signal: 'SIGHUP' },
        'SIGHUP ignored: an agent that serves a recording reads its config only at startup',
      );
  };
  what.end.onHangUp(onHangUp);
  const unwatch = what.watchesConfig ? reloader?.watch() : undefined;
  const refusal =
    reloader === undefined
      ? 'an agent that serves a recording reads its config only at startup'
      : 'reloads over HTTP are off: start the agent with --web.enable-lifecycle';
  return {
    reload: reloader && what.allowsLifecycle ? () => reloader.reload('POST /-/reload') : refusal,
    close: () => unwatch?.(),
  };
}

interface End {
  /** Resolves to the exit status when a signal or an uncaught exception ends the run. */
  reached: Promise<number>;
  /** Calls the listener on each later SIGHUP. If a SIGHUP has already arrived, also calls the listener immediately. */
  onHangUp(listener: () => void): void;
  /** Whether a second signal has ended the run. */
  isAtOnce(): boolean;
  release(): void;
}

/** The first SIGTERM or SIGINT resolves `reached`. A second one calls `endAtOnce`, then ends the process. */
function waitForEnd(log: Log, endAtOnce: () => Promise<void> | undefined): End {
  const { promise: reached, resolve } = Promise.withResolvers<number>();
  let atOnce = false;
  const releaseSignals = onEndSignals(['SIGTERM', 'SIGINT'], {
    first: (signal) => {
      log.info({ signal }, 'stopping');
      resolve(0);
    },
    again: async (signal) => {
      if (atOnce) return;
      atOnce = true;
      log.warn(
        { signal },
        "second signal received: restoring the kernel's tracing settings, then exiting without waiting",
      );
      await endAtOnce();
      process.exit(EXIT_FAILED);
    },
  });
  let hangUps = 0;
  let onHangUp: () => void = () => hangUps++;
  const hangUp = () => onHangUp();
  const fail = (reason: string, message: string) => {
    log.error({ reason }, message);
    resolve(EXIT_FAILED);
  };
  const onUncaught = (error: unknown) => {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    fail(reason, 'unexpected error: stopping');
  };
  process.on('SIGHUP', hangUp).on('uncaughtException', onUncaught);
  const release = () => {
    releaseSignals();
    process.off('SIGHUP', hangUp).off('uncaughtException', onUncaught);
  };
  const hangUpsGoTo = (listener: () => void) => {
    onHangUp = listener;
    if (hangUps > 0) listener();
  };
  return { reached, onHangUp: hangUpsGoTo, isAtOnce: () => atOnce, release };
}

/** Terminates the capture thread, then cleans up: a terminated thread cannot remove its instance. */
async function endAtOnce(config: AgentConfig, log: Log, terminate: () => Promise<void>): Promise<void> {
  const remedy = 'run `ftrace-exporter cleanup` after this process has exited';
  try {
    const late = sleep(MOST_TERMINATING_MS, 'late' as const, { ref: false });
    if ((await Promise.race([terminate(), late])) === 'late')
      log.error({}, `the capture thread did not stop in time: ${remedy}`);
    const { problems, busy } = cleanUp(config);
    for (const problem of problems) log.error({ reason: problem }, `could not restore everything: ${remedy}`);
    if (busy.includes(config.instance))
      log.error(
        { instance: config.instance },
        `the tracefs instance is still in use by this process: ${remedy}`,
      );
  } catch (error) {
    const reason = reasonOf(error);
    log.error({ reason }, `could not restore everything: ${remedy}`);
  }
}
