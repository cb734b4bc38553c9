/** `top`: keys, order, filter, and lines that fit the terminal whatever names contain. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { makeClient } from '../../../src/cli/top/client.ts';
import type { TopDocument, TopRow } from '../../../src/cli/top/document.ts';
import { renderScreen, renderText } from '../../../src/cli/top/screen.ts';
import { firstState, pressKey, rowsOf, type TopState } from '../../../src/cli/top/state.ts';
import { UsageError } from '../../../src/model/errors.ts';

const HOSTILE = '\x1b[2J\x9b1A\u202eevil\n';

function row(name: string, busy: number, perSecond: number, p99: number): TopRow {
  return { labels: { syscall: name }, per_second: perSecond, busy, p50: p99 / 2, p99 };
}

function makeDocument(rows: TopRow[]): TopDocument {
  const view = { title: 'System calls', kind: 'histogram', unit: 'seconds', by: ['syscall'] } as const;
  return {
    url: 'http://localhost:10743/',
    time: 1_700_000_000_000,
    axis: 'time',
    source: 'live',
    ready: true,
    reason: '',
    seconds: 10,
    events_per_second: 12_345,
    events_lost: 0,
    agent_cpu: 0.02,
    views: [
      { ...view, by: [...view.by], name: 'overview', rows: [] },
      { ...view, by: [...view.by], name: 'ftrace_syscall_duration_seconds', rows },
      {
        name: 'ftrace_events_total',
        title: 'Events',
        kind: 'counter',
        unit: '',
        by: ['event'],
        rows: [{ labels: { event: 'oom' }, per_second: 3, busy: null, p50: null, p99: null }],
      },
    ],
  };
}

const document = makeDocument([row('read', 1, 500, 0.1), row('fsync', 3, 2, 0.02), row('futex', 2, 9, 5)]);
const press = (state: TopState, ...keys: string[]): TopState =>
  keys.reduce((before, key) => {
    const after = pressKey(before, key, 10);
    assert.notEqual(after, 'quit', JSON.stringify(key));
    return after as TopState;
  }, state);
const names = (state: TopState) => rowsOf(document.views[1], state).map(({ labels }) => labels.syscall);

test('keys choose the view, the order, the filter and the pause', () => {
  const state = press(firstState(), '2');
  assert.equal(state.view, 1);
  assert.deepEqual(names(state), ['fsync', 'futex', 'read']);
  assert.deepEqual(names(press(state, 's')), ['read', 'futex', 'fsync']);
  assert.deepEqual(names(press(state, 's', 's', 's')), ['futex', 'read', 'fsync']);
  assert.deepEqual(names(press(state, 's', 's', 's', 's')), ['fsync', 'futex', 'read']);
  assert.deepEqual(names(press(state, 'r')), ['read', 'futex', 'fsync']);
  assert.equal(press(state, 'p').paused, true);
  assert.equal(press(state, 'p', ' ').paused, false);
  const typed = press(state, '/', 'f', 'q', '\x7f', 's', '\r');
  assert.deepEqual([typed.filter, typed.typing, names(typed)], ['fs', false, ['fsync']]);
  assert.equal(press(typed, '\x1b').filter, '');
  for (const key of ['q', '\x03']) assert.equal(pressKey(state, key, 10), 'quit');
  assert.equal(pressKey(press(state, '/'), '\x03', 10), 'quit');
  assert.equal(press(state, '\x1b[6~', '\x1b[A').offset, 9);
});

test('every line fits, at any size, and names cannot control the terminal', () => {
  const many = makeDocument(
    Array.from({ length: 100 }, (_, i) => row(`${HOSTILE}${'x'.repeat(i)}`, i, i, i / 1000)),
  );
  for (const [columns, rows] of [
    [80, 24],
    [20, 5],
    [200, 60],
  ]) {
    const state = press(firstState(), '2', '\x1b[6~');
    const lines = renderScreen(many, state, { columns, rows, colour: false, problem: '' });
    assert.equal(lines.length, rows);
    for (const line of lines) {
      assert.ok(line.length <= columns, `${line.length} > ${columns}: ${line}`);
      assert.doesNotMatch(line, /[\x00-\x1f\x7f-\x9f\u202e]/);
    }
  }
  assert.doesNotMatch(renderText(many, firstState(), 80), /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
});

test('the screen says what is wrong, and has colours only if wanted', () => {
  const size = { columns: 80, rows: 24 };
  const plain = renderScreen(document, press(firstState(), '2'), { ...size, colour: false, problem: '' });
  assert.doesNotMatch(plain.join(''), /\x1b/);
  assert.match(plain.join('\n'), /12\.3 k events\/s {2}0 lost {2}agent 2 % of a CPU/);
  assert.match(plain.join('\n'), /\[2 System calls\]/);
  const broken = renderScreen(document, firstState(), { ...size, colour: true, problem: 'no answer' });
  assert.match(broken.join('\n'), /\x1b\[31mno answer\x1b\[0m/);
  const blind = { ...document, ready: false, reason: 'recording is off' };
  const lines = renderScreen(blind, firstState(), { ...size, colour: false, problem: '' });
  assert.match(lines.join('\n'), /not ready: recording is off/);
  assert.match(
    renderScreen(document, press(firstState(), '3'), { ...size, colour: false, problem: '' }).join('\n'),
    /oom +3\/s/,
  );
});

test('the URL may have a password, which is sent and never shown; a wrong one is an error', async (t) => {
  let authorization: string | undefined;
  const server = createServer((request, response) => {
    authorization = request.headers.authorization;
    response.setHeader('content-type', request.url === '/node/text' ? 'text/plain' : 'application/json');
    response.end(request.url === '/node/text' ? 'not here' : JSON.stringify({ path: request.url }));
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const client = makeClient(`http://me:p%40ss@127.0.0.1:${port}/node`);
  assert.equal(client.url, `http://127.0.0.1:${port}/node/`);
  assert.deepEqual(await client.get('api/v1/status'), { path: '/node/api/v1/status' });
  assert.equal(authorization, `Basic ${Buffer.from('me:p@ss').toString('base64')}`);
  await assert.rejects(client.get('text'), /answered 200: not here/);
  assert.equal(makeClient('localhost:10743').url, 'http://localhost:10743/');
  for (const url of ['http://', 'a b', 'http://[']) assert.throws(() => makeClient(url), UsageError, url);
});
