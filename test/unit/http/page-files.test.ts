/** Everything that the page loads must come from the agent and be small, and the agent must serve no other files. */
import assert from 'node:assert/strict';
import fs, { readdirSync, readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import type { AddressInfo, Server } from 'node:net';
import { after, before, test } from 'node:test';
import { createApp } from '../../../src/http/pages/app.ts';
import { idleDeps } from '../../support/http-deps.ts';

const PAGE = new URL('../../../src/page/', import.meta.url);
const MOST_BYTES = 200 << 10;
let server: Server;
let base = '';
before(async () => {
  server = await serve();
  base = addressOf(server);
});
after(() => server.close());

async function serve(): Promise<Server> {
  const one = createApp(idleDeps).listen(0, '127.0.0.1');
  await new Promise((resolve) => one.once('listening', resolve));
  return one;
}

function addressOf(one: Server): string {
  return `http://127.0.0.1:${(one.address() as AddressInfo).port}`;
}

/** Paths that a document or a module loads. */
function pathsIn(text: string): string[] {
  const links = text.matchAll(/(?:src|stylesheet" href)="\.([^"]+)"/g);
  const imports = text.matchAll(/^(?:import|\} from)[^'"]*['"]([^'"]+)['"]/gm);
  return [...[...links].map((match) => match[1]), ...[...imports].map((match) => match[1])];
}

test('the page and everything it loads come from the agent, and take at most 200 KiB', async () => {
  const seen = new Map<string, number>();
  const load = async (url: string): Promise<void> => {
    if (seen.has(url)) return;
    assert.ok(url.startsWith(base), url);
    seen.set(url, 0);
    const answer = await fetch(url, { headers: { 'accept-encoding': 'identity' } });
    assert.equal(answer.status, 200, url);
    const text = await answer.text();
    seen.set(url, Buffer.byteLength(text));
    if (url.endsWith('/uplot.js')) return;
    assert.doesNotMatch(text, /https?:\/\/(?!www\.w3\.org\/2000\/svg)/, url);
    for (const path of pathsIn(text)) await load(new URL(path, url).href);
  };
  await load(`${base}/`);
  const bytes = [...seen.values()].reduce((sum, each) => sum + each, 0);
  assert.ok(seen.size > 15, [...seen.keys()].join(' '));
  assert.ok(bytes <= MOST_BYTES, `${bytes} bytes`);
  // The first module must load every other module, directly or through others.
  const modules = readdirSync(PAGE).filter((name) => name.endsWith('.ts'));
  assert.deepEqual(
    modules.filter((name) => !seen.has(`${base}/page/${name}`)),
    [],
  );
});

test('scripts, styles and compression have their headers; other names are not found', async () => {
  const script = await fetch(`${base}/page/main.ts`);
  assert.equal(script.headers.get('content-type'), 'text/javascript; charset=utf-8');
  assert.equal(script.headers.get('content-encoding'), 'gzip');
  assert.doesNotMatch(await script.text(), /import type|: HTMLElement/);
  const style = await fetch(`${base}/page/page.css`);
  assert.equal(style.headers.get('content-type'), 'text/css; charset=utf-8');
  for (const name of ['', 'nope.js', '..%2fapp.ts', '%2e%2e%2fmain.ts', 'main.ts/', '__proto__'])
    assert.equal((await fetch(`${base}/page/${name}`)).status, 404, name);
});

test('a file that could not be read is read again at the next request', async (t) => {
  const fresh = await serve();
  t.after(() => fresh.close());
  const url = `${addressOf(fresh)}/page/page.css`;
  const read = t.mock.method(fs, 'readFileSync', () => {
    throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
  });
  syncBuiltinESMExports();
  try {
    assert.equal((await fetch(url)).status, 500);
  } finally {
    read.mock.restore();
    syncBuiltinESMExports();
  }
  assert.equal((await fetch(url)).status, 200);
});

test('no module makes markup from text', () => {
  for (const name of readdirSync(PAGE)) {
    const text = readFileSync(new URL(name, PAGE), 'utf8');
    assert.doesNotMatch(
      text,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/,
      name,
    );
    // Style attributes in markup would need `unsafe-inline` in the content security policy; the CSSOM does not.
    assert.doesNotMatch(text, /setAttribute\('style'|style: '/, name);
  }
});
