import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { affordable } from '../../../src/http/server/descriptors.ts';

test('connections leave file descriptors for everything else', () => {
  assert.equal(affordable(512, 1024, 30), 512);
  assert.equal(affordable(512, 256, 40), 200);
  assert.equal(affordable(512, 40, 38), 1);
});

test('60 idle clients of a process with few descriptors make room, and files can be opened', async () => {
  const script = `
    const { listen } = await import(process.argv[1]);
    const { openSync } = await import('node:fs');
    const log = { debug() {}, info() {}, warn() {}, error: (fields) => console.log(JSON.stringify(fields)) };
    const open = (_, response) => { openSync('/proc/self/stat'); response.end('opened'); };
    console.log((await listen(open, '127.0.0.1:0', log)).url);`;
  const listenFile = fileURLToPath(new URL('../../../src/http/server/listen.ts', import.meta.url));
  const command = 'ulimit -n 48; exec "$0" --input-type=module -e "$1" "$2"';
  const child = spawn('sh', ['-c', command, process.execPath, script, listenFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = await once(child.stdout, 'data');
    const port = Number(new URL(String(line).trim()).port);
    const clients = Array.from({ length: 60 }, () =>
      connect(port, '127.0.0.1')
        .on('error', () => {})
        .resume(),
    );
    await Promise.all(
      clients.map((client) => Promise.race([once(client, 'connect'), once(client, 'close')])),
    );
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
    assert.equal(await answer.text(), 'opened');
    assert.ok(readdirSync(`/proc/${child.pid}/fd`).length < 40);
    for (const client of clients) client.destroy();
  } finally {
    child.kill('SIGKILL');
  }
});
