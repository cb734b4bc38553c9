/**
 * A program with clients that misbehave. Its argument is an `AttackOrder` in JSON; it prints the number of attempts. It
 * is a separate process, so that it does not delay the client that the test measures.
 */
import { readFileSync } from 'node:fs';
import { request as askPlain } from 'node:http';
import { Agent, request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';

export const ATTACKS = fileURLToPath(import.meta.url);

export interface AttackOrder {
  what:
    | 'slow'
    | 'slow-readers'
    | 'streams'
    | 'headers'
    | 'passwords'
    | 'passwords-reconnecting'
    | 'garbage'
    | 'handshakes';
  port: number;
  from: string;
  seconds: number;
  clients: number;
}

const ca = readFileSync(fileURLToPath(new URL('../fixtures/tls/ca.crt', import.meta.url)));
let done = 0;
let over = false;

const quietly = <T extends Socket>(socket: T): T => socket.on('error', () => {}).resume() as T;

/** Runs `step` again and again, in this number of concurrent clients. */
async function repeatedly(clients: number, step: (client: number) => Promise<void>): Promise<void> {
  const one = async (client: number) => {
    while (!over) {
      await step(client);
      done++;
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, client) => one(client)));
}

const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));

/**
 * Each client sends one byte per second: of a TLS handshake, of a header over TLS, or of a header without TLS. It
 * connects again when the server closes the connection.
 */
function slow({ port, from, clients }: AttackOrder): Promise<void> {
  return repeatedly(clients, async (client) => {
    const raw = quietly(connect({ port, host: '127.0.0.1', localAddress: from }));
    const shaken = client % 3 === 0;
    const socket = shaken
      ? quietly(connectTls({ socket: raw, ca, servername: 'localhost', rejectUnauthorized: false }))
      : raw;
    const text = client % 3 === 1 ? '\x16\x03\x01\x02\x00' : 'GET /metrics HTTP/1.1\r\nX: aaaaaaaaaaaaaaaa';
    let at = 0;
    const drip = setInterval(() => socket.writable && socket.write(text[at++] ?? 'a', 'latin1'), 1000);
    await Promise.race([closed(raw), whenOver()]);
    clearInterval(drip);
    socket.destroy();
    raw.destroy();
  });
}

/** Each client requests a path and reads one byte of the answer per second. */
function slowReaders({ port, from, clients }: AttackOrder, path: string): Promise<void> {
  return repeatedly(clients, async () => {
    const sent = askPlain({ port, host: '127.0.0.1', localAddress: from, path, agent: false });
    const socket = await new Promise<Socket>((resolve) => sent.once('socket', resolve));
    sent.on('error', () => {});
    sent.on('response', (response) => {
      response.on('error', () => {});
      response.pause();
      const sip = setInterval(() => response.read(1), 1000);
      response.once('close', () => clearInterval(sip));
    });
    sent.end();
    await Promise.race([closed(socket), whenOver()]);
    socket.destroy();
  });
}

function headers({ port, from, clients }: AttackOrder): Promise<void> {
  const oversized = `GET / HTTP/1.1\r\nHost: x\r\n${`X: ${'a'.repeat(1000)}\r\n`.repeat(1000)}\r\n`;
  return repeatedly(clients, async () => {
    const socket = quietly(
      connectTls({ port, host: '127.0.0.1', localAddress: from, ca, servername: 'localhost' } as never),
    );
    socket.once('secureConnect', () => socket.write(oversized));
    await Promise.race([closed(socket), whenOver()]);
    socket.destroy();
  });
}

/** Each request guesses another password, on a new connection or, if `keepAlive` is true, on one that stays open. */
function passwords({ port, from, clients }: AttackOrder, keepAlive: boolean): Promise<void> {
  const agent = new Agent({ keepAlive, maxSockets: clients, localAddress: from } as never);
  const base = { port, host: '127.0.0.1', path: '/metrics', ca, servername: 'localhost', agent };
  return repeatedly(
    clients,
    () =>
      new Promise<void>((resolve) => {
        const sent = request({ ...base, auth: `guessed:${Math.random()}` }, (response) => {
          response.resume().once('close', () => resolve());
        });
        sent.once('error', () => resolve());
        void whenOver().then(() => sent.destroy());
        sent.end();
      }),
  );
}

function garbage({ port, from, clients }: AttackOrder): Promise<void> {
  const noises = ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '\0'.repeat(500), 'GET / HTTP/1.1\r\n\r\n'];
  return repeatedly(clients, async (client) => {
    const socket = quietly(connect({ port, host: '127.0.0.1', localAddress: from }));
    socket.end(noises[client % noises.length].padEnd(300, '\xff'), 'latin1');
    await Promise.race([closed(socket), whenOver()]);
    socket.destroy();
  });
}

/** Completes TLS handshakes, each of which costs the server a signature, and sends no request. */
function handshakes({ port, from, clients }: AttackOrder): Promise<void> {
  return repeatedly(clients, async () => {
    const options = { port, host: '127.0.0.1', localAddress: from, ca, servername: 'localhost' };
    const socket = quietly(connectTls(options as never));
    socket.once('secureConnect', () => socket.destroy());
    await Promise.race([closed(socket), whenOver()]);
    socket.destroy();
  });
}

let tellOver = () => {};
const ending = new Promise<void>((resolve) => {
  tellOver = resolve;
});
function whenOver(): Promise<void> {
  return ending;
}

async function attack(order: AttackOrder): Promise<void> {
  void sleep(order.seconds * 1000).then(() => {
    over = true;
    tellOver();
  });
  const kinds: Record<AttackOrder['what'], () => Promise<void>> = {
    slow: () => slow(order),
    'slow-readers': () => slowReaders(order, '/metrics'),
    streams: () => slowReaders(order, '/api/v1/live'),
    headers: () => headers(order),
    passwords: () => passwords(order, true),
    'passwords-reconnecting': () => passwords(order, false),
    garbage: () => garbage(order),
    handshakes: () => handshakes(order),
  };
  await kinds[order.what]();
  process.stdout.write(JSON.stringify(done));
  process.exit(0);
}

if (process.argv[1] === ATTACKS) await attack(JSON.parse(process.argv[2]) as AttackOrder);
