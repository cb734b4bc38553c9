/** An OpenTelemetry Collector that receives OTLP over gRPC and HTTP and writes it to a file. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from './agent.ts';
import { metricsInJson, type PushedMetric } from './otlp.ts';
import { decodeSpans, type ReceivedSpan } from './otlp-traces.ts';

const START_TIMEOUT_MS = 30_000;

export interface Collector {
  grpcUrl: string;
  httpUrl: string;
  /** All spans so far. */
  spans(): ReceivedSpan[];
  /** The metrics of each request so far. */
  metrics(): PushedMetric[][];
}

/** Starts a Collector that ends with the test file. */
export async function startCollector(bench: Bench, program: string): Promise<Collector> {
  const path = join(bench.directory, bench.instanceName('collector'));
  const [grpc, http] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const pipeline = { receivers: ['otlp'], exporters: ['file'] };
  const config = {
    receivers: { otlp: { protocols: { grpc: { endpoint: grpc }, http: { endpoint: http } } } },
    exporters: { file: { path: `${path}.jsonl`, flush_interval: '100ms' } },
    service: {
      pipelines: { traces: pipeline, metrics: pipeline },
      telemetry: { metrics: { level: 'none' } },
    },
  };
  writeFileSync(`${path}.yaml`, JSON.stringify(config));
  const child = spawn(program, [`--config=file:${path}.yaml`], { stdio: ['ignore', 'ignore', 'pipe'] });
  bench.atEnd(() => child.kill('SIGKILL'));
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!log.includes('Everything is ready')) {
    assert.equal(child.exitCode, null, `the collector has ended:\n${log}`);
    assert.ok(performance.now() < deadline, `the collector did not become ready:\n${log}`);
    await sleep(50);
  }
  /** Returns the received requests whose first key is `what`, as JSON. */
  const requests = (what: string): string[] => {
    if (!existsSync(`${path}.jsonl`)) return [];
    const lines = readFileSync(`${path}.jsonl`, 'utf8').split('\n').slice(0, -1);
    return lines.filter((line) => line.startsWith(`{"${what}"`));
  };
  return {
    grpcUrl: `http://${grpc}`,
    httpUrl: `http://${http}`,
    spans: () => requests('resourceSpans').flatMap((line) => decodeSpans(Buffer.from(line), 'json').spans),
    metrics: () => requests('resourceMetrics').map(metricsInJson),
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
