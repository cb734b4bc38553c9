/**
 * Each answer must be complete or an error, however many clients request a large one, and however slowly they read it.
 */
import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createApp } from '../../../src/http/pages/app.ts';
import type { HttpDeps } from '../../../src/http/pages/deps.ts';
import { listen } from '../../../src/http/server/listen.ts';
import { idleDeps, quiet } from '../../support/http-deps.ts';

const MB = 1_000_000;
const LABEL = 'x'.repeat(MB);
const deps: HttpDeps = {
  ...idleDeps,
  processMetrics: async () => {
    const samples = Array.from({ length: 11 }, (_, i) => ({
      suffix: '' as const,
      labels: { text: `${i}${LABEL}` },
      value: i,
    }));
    return [{ name: 'large', help: 'A large answer.', kind: 'gauge', samples }];
  },
};

interface Got {
  status: number;
  /** Bytes according to `Content-Length`; `came`: bytes received. */
  promised: number;
  came: number;
}

/** Requests the metrics on a new connection. Pauses after each piece of the answer. Waits until the connection ends. */
function get(port: number, pauseMs = 0): Promise<Got> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    socket.on('data', (piece: Buffer) => {
      pieces.push(piece);
      if (pauseMs === 0) return;
      socket.pause();
      setTimeout(() => socket.resume(), pauseMs);
    });
    socket.once('close', () => {
      const all = Buffer.concat(pieces);
      const end = all.indexOf('\r\n\r\n') + 4;
      const head = all.subarray(0, end).toString('latin1');
      resolve({
        status: Number(/^HTTP\/1.1 (\d+)/.exec(head)?.[1] ?? 0),
        promised: Number(/content-length: (\d+)/i.exec(head)?.[1] ?? -1),
        came: all.length - end,
      });
    });
  });
}

interface Served {
  port: number;
  /** Number of answers that the server has computed. */
  made(): number;
}

/** Starts a server that delays its answers until `askers` requests have arrived. */
async function serve(t: TestContext, { maxRequests = 40, askers = 1 } = {}): Promise<Served> {
  const { promise: allAsked, resolve } = Promise.withResolvers<void>();
  let requests = 0;
  let made = 0;
  const processMetrics: HttpDeps['processMetrics'] = async () => {
    await allAsked;
    made++;
    return deps.processMetrics();
  };
  const app = createApp({ ...deps, processMetrics }, { maxRequests });
  const counting: RequestListener = (request, response) => {
    app(request, response);
    if (++requests === askers) resolve();
  };
  const listening = await listen(counting, '127.0.0.1:0', quiet);
  t.after(() => listening.close());
  return { port: Number(new URL(listening.url).port), made: () => made };
}

const whole = ({ promised, came }: Got) => assert.equal(came, promised);

test('50 clients of an answer of 11 MB: each gets all of it or an error', async (t) => {
  const { port } = await serve(t);
  const got = await Promise.all(Array.from({ length: 50 }, () => get(port)));
  got.forEach(whole);
  const statuses = got.map(({ status }) => status);
  assert.ok(
    statuses.every((status) => status === 200 || status === 503),
    `${statuses}`,
  );
  assert.ok(statuses.includes(200));
});

test('50 clients that ask during a computation each get all of it, because they share it', async (t) => {
  const { port, made } = await serve(t, { maxRequests: 0, askers: 50 });
  const got = await Promise.all(Array.from({ length: 50 }, () => get(port)));
  got.forEach(whole);
  assert.ok(got.every(({ status, came }) => status === 200 && came > 11 * MB));
  assert.equal(made(), 2, 'one for the first, one for all that asked meanwhile');
});

test('clients that come one after the other and read at a decent rate are not cut off for each other', async (t) => {
  const { port } = await serve(t);
  const requests: Promise<Got>[] = [];
  for (let i = 0; i < 12; i++) {
    requests.push(get(port, 2));
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  const got = await Promise.all(requests);
  got.forEach(whole);
  const statuses = got.map(({ status }) => status);
  assert.ok(
    statuses.every((status) => status === 200 || status === 503),
    `${statuses}`,
  );
  assert.ok(statuses.includes(200));
});
