/** The start of the page, in a simulated browser. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byId, FakeElement, loadScript } from '../../support/browser.ts';

test('the page of a recording says once that it is a recording, however often it has to connect', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let lookUps = 0;
  t.mock.method(globalThis, 'fetch', async (path: string) => {
    if (path === 'api/v1/status')
      return { ok: true, json: async () => ({ source: 'replay', ready: true, reason: '', capture: null }) };
    if (++lookUps < 3) throw new TypeError('network error');
    return { ok: false, status: 404, headers: new Headers(), text: async () => '' };
  });
  const app = new FakeElement('main');
  byId.set('app', app).set('state', new FakeElement('p'));
  await loadScript('main.ts');
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    t.mock.timers.tick(3000);
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(lookUps, 3);
  assert.equal(app.textContent.split('A recording, not this machine').length - 1, 1);
  assert.match(app.textContent, /This agent keeps no history/);
});
