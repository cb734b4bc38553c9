/** Defines the HTTP routes. Only the route that reloads the config changes state. */
import express from 'express';
import { reasonOf, UsageError } from '../../model/errors.ts';
import { createAnswers } from '../server/answers.ts';
import { createRefusals, type Refusals } from '../server/refusals.ts';
import { sendText } from '../server/respond.ts';
import { createStreams, type Streams } from '../server/streams.ts';
import { type HttpDeps, readStatus } from './deps.ts';
import { historyRoute } from './history-route.ts';
import { latencyRoute } from './latency-route.ts';
import { liveRoute } from './live-route.ts';
import { metricsRoute } from './metrics-route.ts';
import { renderPage } from './page.ts';
import { createPageFiles } from './page-files.ts';
import { reloadRoute } from './reload-route.ts';
import { slowRoute } from './slow-route.ts';

type Handler = (request: express.Request, response: express.Response) => void | Promise<void>;

const STATUS_PATH = '/api/v1/status';
const LATENCY_PATH = '/api/v1/latency/';
const SLOW_PATH = '/api/v1/slow';
const HISTORY_PATH = '/api/v1/history';
const LIVE_PATH = '/api/v1/live';
const FILES_PATH = '/page/';
const HEALTH_PATH = '/healthz';
const READINESS_PATH = '/readyz';
const RELOAD_PATH = '/-/reload';

/** Paths that `maxRequests` does not limit, because a busy node must also answer health checks. */
const WITHOUT_LIMIT = [HEALTH_PATH, READINESS_PATH];
const MAX_REQUESTS = 40;
/** Number of slow operations on the page for browsers without scripts. */
const SLOWEST = 5;

export interface AppOptions {
  /** Maximum number of concurrent requests; 0 means no limit. */
  maxRequests?: number;
  refusals?: Refusals;
  /** Streams of `/api/v1/live`. The caller must close them. By default, `createApp` creates its own. */
  streams?: Streams;
}

/** Makes the app that guard.ts protects. Throws a `UsageError` for a telemetry path that cannot be served. */
export function createApp(
  deps: HttpDeps,
  {
    maxRequests = MAX_REQUESTS,
    refusals = createRefusals(deps.log),
    streams = createStreams(refusals),
  }: AppOptions = {},
): express.Express {
  const answers = createAnswers(maxRequests, refusals);
  const files = createPageFiles(answers.send);
  const paths = {
    metrics: deps.telemetryPath,
    status: STATUS_PATH,
    health: HEALTH_PATH,
    readiness: READINESS_PATH,
    slow: SLOW_PATH,
    styles: [`${FILES_PATH}uplot.css`, `${FILES_PATH}page.css`],
    scripts: [`${FILES_PATH}uplot.js`],
    entry: `${FILES_PATH}${files.entry}`,
    latency: (tracer: string) => `${LATENCY_PATH}${tracer}`,
  };
  const routes: Record<string, Handler> = {
    '/': async (_request, response) => {
      const page = renderPage(await readStatus(deps), paths, deps.traces?.slow(undefined, SLOWEST).slowest);
      answers.send(response, 200, 'text/html; charset=utf-8', page);
    },
    [HEALTH_PATH]: (_request, response) => {
      const { alive, reason } = deps.alive();
      if (alive) sendText(response, 200, 'ok');
      else sendText(response, 503, `not alive: ${reason}`);
    },
    [READINESS_PATH]: (_request, response) => {
      const { ready, reason } = deps.ready();
      if (ready) sendText(response, 200, 'ready');
      else sendText(response, 503, `not ready: ${reason}`);
    },
    [STATUS_PATH]: async (_request, response) => {
      const status = await readStatus(deps);
      const body = `${JSON.stringify(status, undefined, 2)}\n`;
      answers.send(response, status.capture === null ? 503 : 200, 'application/json; charset=utf-8', body);
    },
    [SLOW_PATH]: slowRoute(deps, answers.send),
    [`${FILES_PATH}:name`]: files.route,
    [HISTORY_PATH]: historyRoute(deps, answers.send),
    [LIVE_PATH]: liveRoute(deps, streams),
    [`${LATENCY_PATH}:tracer`]: latencyRoute(deps, answers.send),
  };
  checkTelemetryPath(deps.telemetryPath, [...Object.keys(routes), RELOAD_PATH]);
  routes[deps.telemetryPath] = metricsRoute(deps, answers);

  const app = express();
  app.disable('x-powered-by');
  app.set('query parser', false);
  app.set('strict routing', true);
  app.set('case sensitive routing', true);
  const limited =
    (handler: Handler): Handler =>
    (request, response) =>
      answers.begin(response) ? handler(request, response) : undefined;
  for (const [path, handler] of Object.entries(routes)) {
    app
      .route(path)
      .get(WITHOUT_LIMIT.includes(path) ? handler : limited(handler))
      .all(methodNotAllowed('GET, HEAD'));
  }
  app.route(RELOAD_PATH).post(reloadRoute(deps)).put(reloadRoute(deps)).all(methodNotAllowed('POST, PUT'));
  app.use((_request, response) => sendText(response, 404, `not found; metrics are at ${deps.telemetryPath}`));
  app.use(failureHandler(deps));
  return app;
}

/** Throws a `UsageError` for a path with special characters or segments, and for the path of another route. */
function checkTelemetryPath(path: string, routes: readonly string[]): void {
  if (!/^(\/[\w.~-]+)+$/.test(path)) {
    throw new UsageError(
      `--web.telemetry-path ${JSON.stringify(path)}: must be a path of letters, digits and . _ ~ -, such as /metrics`,
    );
  }
  if (/\/\.{1,2}(\/|$)/.test(path)) {
    throw new UsageError(
      `--web.telemetry-path ${JSON.stringify(path)}: must not have . or .. as a segment, because clients resolve these`,
    );
  }
  if (routes.includes(path)) {
    throw new UsageError(
      `--web.telemetry-path ${JSON.stringify(path)}: the agent uses this path itself: choose another path, such as /metrics`,
    );
  }
}

function methodNotAllowed(allowed: 'GET, HEAD' | 'POST, PUT'): Handler {
  return (_request, response) => {
    response.setHeader('Allow', allowed);
    sendText(response, 405, `method not allowed: only ${allowed.replace(', ', ' and ')}`);
  };
}

/** Express recognizes error handlers by their four parameters. */
function failureHandler(deps: HttpDeps): express.ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const status = (error as { status?: unknown } | null)?.status;
    if (status === 400) {
      sendText(response, 400, 'bad request');
      return;
    }
    deps.log.error({ path: request.path, reason: reasonOf(error) }, 'could not handle an HTTP request');
    sendText(response, 500, 'internal error; see the log of the agent');
  };
}
