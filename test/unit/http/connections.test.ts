import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { createConnections } from '../../../src/http/server/connections.ts';

class FakeSocket extends EventEmitter {
  destroyed = false;
  ended = false;
  destroy() {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit('close');
  }
  end() {
    this.ended = true;
  }
}
class FakeResponse extends EventEmitter {
  slow = false;
  close() {
    this.emit('close');
  }
}

function make(ceiling: number) {
  let evicted = 0;
  const connections = createConnections(
    ceiling,
    () => evicted++,
    (response) => (response as unknown as FakeResponse).slow,
  );
  const add = () => {
    const socket = new FakeSocket();
    return { socket, taken: connections.add(socket as unknown as Socket) };
  };
  const ask = (socket: FakeSocket, letIn: boolean) => {
    const response = new FakeResponse();
    const connection = connections.begin(socket as unknown as Socket, response as unknown as ServerResponse);
    if (connection !== undefined && letIn) connections.letIn(connection);
    return { response, connection };
  };
  return { connections, add, ask, evicted: () => evicted };
}

test('the newcomer comes in, and the one that has waited longest without being let in goes', () => {
  const { add, ask, evicted } = make(3);
  const [good, slow, slower] = [add().socket, add().socket, add().socket];
  ask(good, true);
  assert.equal(add().taken, true);
  assert.deepEqual(
    [good, slow, slower].map(({ destroyed }) => destroyed),
    [false, true, false],
  );
  for (let i = 0; i < 500; i++) assert.equal(add().taken, true);
  assert.equal(good.destroyed, false);
  assert.equal(evicted(), 501);
});

test('a connection whose password is being checked still counts as waiting', () => {
  const { add, ask } = make(2);
  const [guesser, good] = [add().socket, add().socket];
  ask(guesser, false);
  ask(good, true).response.close();
  add();
  assert.deepEqual([guesser.destroyed, good.destroyed], [true, false]);
});

test('then the one goes that has been idle longest, then one that is slow to read its answer; no other does', () => {
  const { add, ask } = make(3);
  const sockets = [add().socket, add().socket, add().socket];
  const requests = sockets.map((socket) => ask(socket, true));
  requests[1].response.close();
  requests[0].response.close();
  requests[2].response.slow = true;
  const gone = () => sockets.map(({ destroyed }) => destroyed);
  const busy = (socket: FakeSocket) => ask(socket, true);
  busy(add().socket);
  assert.deepEqual(gone(), [false, true, false]);
  busy(add().socket);
  assert.deepEqual(gone(), [true, true, false]);
  busy(add().socket);
  assert.deepEqual(gone(), [true, true, true]);
  assert.equal(add().taken, false);
});

test('a second request before the first has its answer closes the connection', () => {
  const { add, ask } = make(3);
  const { socket } = add();
  const first = ask(socket, true);
  assert.ok(first.connection);
  assert.equal(ask(socket, true).connection, undefined);
  first.response.close();
  assert.ok(ask(socket, true).connection);
});

test('places of closed connections are free again, and a TLS socket stands for its raw one', () => {
  const { connections, add, ask, evicted } = make(2);
  const raw = add().socket;
  const secure = new FakeSocket();
  connections.alias(secure as unknown as Socket, raw as unknown as Socket);
  assert.ok(ask(secure, true).connection);
  assert.equal(ask(new FakeSocket(), true).connection, undefined);
  for (let i = 0; i < 10; i++) add().socket.destroy();
  raw.destroy();
  add();
  add();
  assert.equal(evicted(), 0);
});

test('closing: at once without a request, after the answer with one', () => {
  const { connections, add, ask } = make(3);
  const [silent, busy] = [add().socket, add().socket];
  const { response } = ask(busy, true);
  connections.close();
  assert.deepEqual([silent.destroyed, busy.destroyed, busy.ended], [true, false, false]);
  response.close();
  assert.equal(busy.ended, true);
  connections.closeNow();
  assert.equal(busy.destroyed, true);
});
