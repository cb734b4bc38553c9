/**
 * `run`: config in, an agent and its HTTP server out, until a signal ends them. Whatever the end, the agent's
 * instance is removed, and what it changed is put back, before the process goes, unless it is killed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, startAgent } from '../agent/main/supervise.ts';
import { makeTraces, type Traces } from '../agent/main/traces.ts';
import type { AgentConfig } from '../config/schema.ts';
import { createProcessMetrics } from '../export/process-metrics.ts';
import { createApp } from '../http/pages/app.ts';
import { type Listening, listen } from '../http/server/listen.ts';
import { createRefusals, type Refusals } from '../http/server/refusals.ts';
import { openWebConfig } from '../http/server/web-config-file.ts';
import { UsageError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import { cleanUp } from './cleanup.ts';
import { demoCapture, whyNoTracing } from './demo.ts';
import { onEndSignals } from './ending.ts';
import { EXIT_FAILED } from './failure.ts';
import { createLog } from './log.ts';
import { type Otlp, openOtlp } from './otlp.ts';
import { REPLAY_LABELS } from './replay-labels.ts';
import { packageVersion } from './version.ts';

/** How long a second signal waits for the capture thread, which may be in the midst of a call of the kernel. */
const MOST_TERMINATING_MS = 2000;

export interface RunOptions {
  /** A recording to serve instead of the running kernel. */
  replayFile?: string;
  /** The buffer of it to serve. */
  replayInstance?: string | undefined;
  /** Without tracefs serve the bundled recording. */
  demoIfUnavailable?: boolean;
}

/** Runs until it is told to end; resolves to the exit status. Rejects when it cannot start, having cleaned up. */
export async function run(config: AgentConfig, options: RunOptions): Promise<number> {
  const log = createLog(config.log);
  const replayFile = options.replayFile ?? (options.demoIfUnavailable ? demoInstead(config, log) : undefined);
  refuseNothing(config, replayFile !== undefined);
  const version = packageVersion();
  const { configFile, maxRequests, listenAddress } = config.web;
  const web = configFile === undefined ? undefined : openWebConfig(configFile, log);
  const refusals = createRefusals(log);
  const otlp = await openOtlp(config, { log, version });
  const traces = config.spans === undefined ? undefined : makeTraces(config.spans, otlp?.backend);
  const startMs = Date.now();
  // From here on a signal must not end the process with an instance left behind.
  let terminate = async () => {};
  const end = waitForEnd(log, () =>
    replayFile === undefined ? endAtOnce(config, log, terminate) : undefined,
  );
  let agent: Agent | undefined;
  let server: Listening | undefined;
  let status = EXIT_FAILED;
  try {
    agent = await startAgent(config, {
      log,
      version,
      onTerminator: (terminator) => {
        terminate = terminator;
      },
      ...(traces === undefined ? {} : { onTraces: traces.take }),
      ...(replayFile === undefined ? {} : { replayFile, replayInstance: options.replayInstance }),
    });
    const deps = depsOf(agent, config, { log, version, replayFile, refusals, otlp, traces });
    const app = createApp(deps, { maxRequests, refusals });
    server = await listen(app, listenAddress, log, { web, maxRequests, refusals });
    const url = `${server.url}${config.web.telemetryPath}`;
    const probes = await probesUp(agent, config);
    log.info({ version, url, page: `${server.url}/`, probes: probes.join(',') || 'none' }, 'serving metrics');
    otlp?.start({ ...deps, startMs });
    status = await end.reached;
  } finally {
    await Promise.all([server?.close(), otlp?.collectLast()]);
    await agent?.stop().catch((error: unknown) => {
      if (end.isAtOnce()) return;
      status = EXIT_FAILED;
      const reason = error instanceof Error ? error.message : String(error);
      log.error({ reason }, 'could not stop cleanly; `ftrace-exporter cleanup` removes what is left');
    });
    // After the capture, which hands over what it still has.
    await otlp?.stop();
    end.release();
  }
  log.info({ status }, 'stopped');
  return status;
}

/** Names of the probes that work; where the capture has just failed, which the log tells, of those that are on. */
async function probesUp(agent: Agent, config: AgentConfig): Promise<string[]> {
  const status = await agent.status().catch(() => undefined);
  return (status?.probes.filter(({ up }) => up) ?? config.probes).map(({ name }) => name);
}

/** Kinds of traces do without probes, but are made of the running kernel alone. */
function refuseNothing({ probes, spans }: AgentConfig, isReplay: boolean): void {
  if (probes.length > 0 || (spans !== undefined && !isReplay)) return;
  throw new UsageError(
    isReplay
      ? 'no probe is on, so there is nothing to read of a recording'
      : 'no probe is on and no kind of traces, so there is nothing to trace',
  );
}

function depsOf(
  agent: Agent,
  config: AgentConfig,
  what: {
    log: Log;
    version: string;
    replayFile: string | undefined;
    refusals: Refusals;
    otlp: Otlp | undefined;
    traces: Traces | undefined;
  },
): Parameters<typeof createApp>[0] {
  const { log, version, replayFile, refusals, otlp, traces } = what;
  const source = replayFile === undefined ? 'live' : 'replay';
  const processMetrics = createProcessMetrics();
  return {
    telemetryPath: config.web.telemetryPath,
    version,
    constantLabels: source === 'replay' ? REPLAY_LABELS : {},
    scrape: async () => [
      ...(await agent.scrape()),
      ...(traces === undefined ? [] : [traces.snapshot()]),
      ...(otlp?.snapshots() ?? []),
    ],
    ...(traces === undefined ? {} : { traces: traces.traceStore, exemplars: traces.exemplars }),
    processMetrics: async () => [...(await processMetrics()), ...refusals.families()],
    status: () => agent.status(),
    latency: (tracer) => agent.latency(tracer),
    ready: () => agent.ready(),
    alive: () => agent.alive(),
    source: () => source,
    log,
  };
}

/** The bundled recording where this machine cannot be traced, loudly. */
function demoInstead(config: AgentConfig, log: Log): string | undefined {
  const reason = whyNoTracing(config);
  if (reason === undefined) return undefined;
  const file = demoCapture(reason);
  log.warn(
    { reason, file },
    'THIS IS A DEMO: the kernel of this machine cannot be traced, so a recording is served',
  );
  return file;
}

interface End {
  /** Resolves to the exit status when a signal or a failure ends the run. */
  reached: Promise<number>;
  /** Whether a second signal has ended it. */
  isAtOnce(): boolean;
  /** Gives the signals back. */
  release(): void;
}

/** `endAtOnce`: what is done before the exit when a second signal comes. */
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
      log.warn({ signal }, 'second signal received: putting back what was changed, then exiting immediately');
      await endAtOnce();
      process.exit(EXIT_FAILED);
    },
  });
  const onHangUp = () => log.info({ signal: 'SIGHUP' }, 'ignored: the config is read at the start alone');
  const fail = (reason: string, message: string) => {
    log.error({ reason }, message);
    resolve(EXIT_FAILED);
  };
  const onUncaught = (error: unknown) => {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    fail(reason, 'an error that nobody expected: stopping');
  };
  process.on('SIGHUP', onHangUp).on('uncaughtException', onUncaught);
  const release = () => {
    releaseSignals();
    process.off('SIGHUP', onHangUp).off('uncaughtException', onUncaught);
  };
  return { reached, isAtOnce: () => atOnce, release };
}

/** Ends the capture thread, then does for it what it would have done at its end. */
async function endAtOnce(config: AgentConfig, log: Log, terminate: () => Promise<void>): Promise<void> {
  const remedy = '`ftrace-exporter cleanup` removes what is left';
  try {
    const late = sleep(MOST_TERMINATING_MS, 'late' as const, { ref: false });
    if ((await Promise.race([terminate(), late])) === 'late')
      log.error({}, `the capture thread does not end: ${remedy}`);
    const { problems, busy } = cleanUp(config);
    for (const problem of problems) log.error({ reason: problem }, `could not put all back: ${remedy}`);
    if (busy.includes(config.instance))
      log.error({ instance: config.instance }, `the instance is still held: ${remedy}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error({ reason }, `could not put all back: ${remedy}`);
  }
}
