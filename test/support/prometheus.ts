/** Starts a Prometheus with a test's config, and queries its HTTP API. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from './agent.ts';

const START_TIMEOUT_MS = 60_000;
const SCRAPE_TIMEOUT_MS = 30_000;

export interface Prometheus {
  /** `http://127.0.0.1:PORT` */
  url: string;
  /** Result of an instant query. */
  query(expression: string): Promise<QueryResult[]>;
  /** Resolves when each of these jobs has been scraped successfully at least once after the call. */
  scraped(...jobs: readonly string[]): Promise<void>;
}

export interface QueryResult {
  metric: Record<string, string>;
  value?: [number, string];
  histogram?: [number, HistogramValue];
}

/** A native histogram as the API writes it. */
export interface HistogramValue {
  count: string;
  sum: string;
  /** For each bucket: the inclusive bounds (0: upper, 1: lower, 2: none, 3: both), lower bound, upper bound, count. */
  buckets?: [number, string, string, string][];
}

/** Starts a Prometheus with empty storage; it ends with the test file. `more` is added to its config. */
export async function startPrometheus(
  bench: Bench,
  program: string,
  scrapeConfigs: readonly unknown[],
  flags: readonly string[] = [],
  more: object = {},
): Promise<Prometheus> {
  const directory = join(bench.directory, bench.instanceName('prometheus'));
  mkdirSync(directory);
  const configFile = join(directory, 'prometheus.yaml');
  // A short interval, because tests wait for scrapes.
  const global = { scrape_interval: '500ms', evaluation_interval: '500ms' };
  const config = { global, scrape_configs: scrapeConfigs, ...more };
  writeFileSync(configFile, JSON.stringify(config));
  const child = spawn(
    program,
    [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      '--web.listen-address=127.0.0.1:0',
      ...flags,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], cwd: directory },
  );
  let log = '';
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  bench.atEnd(() => {
    child.kill('SIGKILL');
  });
  const url = await new Promise<string>((resolve, reject) => {
    const fail = (reason: string) => reject(new Error(`${program}: ${reason}:\n${log}`));
    child.once('error', ({ message }) => fail(message));
    child.once('exit', (status, signal) => fail(`ended with ${status ?? signal}`));
    child.stderr.on('data', () => {
      const address = /msg="?Listening on"?.* address=(\S+)/.exec(log)?.[1];
      if (address !== undefined) resolve(`http://${address}`);
    });
    setTimeout(() => fail('did not start to listen'), START_TIMEOUT_MS).unref();
  });

  const query = async (expression: string): Promise<QueryResult[]> => {
    const answer = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query: expression })}`);
    const body = (await answer.json()) as { status: string; error?: string; data: { result: QueryResult[] } };
    assert.equal(body.status, 'success', `${expression}: ${body.error}`);
    return body.data.result;
  };
  await eventually(
    async () => (await fetch(`${url}/-/ready`)).status === 200,
    START_TIMEOUT_MS,
    () => log,
  );
  return {
    url,
    query,
    scraped: async (...jobs) => {
      // A sample's time is the start of its scrape. Prometheus moves it by up to 2 ms to make the intervals equal.
      const from = Date.now() / 1000 + 0.01;
      for (const job of jobs) {
        const done = async () => {
          const [at] = await query(`timestamp(up{job="${job}"})`);
          const [up] = await query(`up{job="${job}"}`);
          return Number(at?.value?.[1] ?? 0) > from && up?.value?.[1] === '1';
        };
        await eventually(done, SCRAPE_TIMEOUT_MS, () => `${job} is not scraped:\n${log}`);
      }
    },
  };
}

async function eventually(
  done: () => Promise<boolean>,
  timeoutMs: number,
  report: () => string,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await done())) {
    assert.ok(performance.now() < deadline, report());
    await sleep(100);
  }
}
