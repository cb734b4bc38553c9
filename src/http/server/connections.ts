/**
 * Keeps the open connections, and chooses one to close when there are too many: first the one that has waited longest
 * without an admitted request (slow, silent or guessing clients), then the one that has been idle longest (its client
 * can connect again), then one whose client takes its answer slowly. Other connections with an answer under way stay,
 * because an answer is whole or an error: the new connection is then refused.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isSlow } from './respond.ts';

export interface Connection {
  /** Requests on it that were not admitted. */
  failures: number;
}

export interface Connections {
  /** Adds an accepted connection. False if no other could make room. */
  add(raw: Socket): boolean;
  /** Requests on `secure` from now on belong to the connection of `raw`. */
  alias(secure: Socket, raw: Socket): void;
  /** A request arrived. Undefined: ignore it, because the one before has no answer yet (pipelining is not supported). */
  begin(socket: Socket, response: ServerResponse): Connection | undefined;
  /** Whether a request has not been answered in full. */
  busy(socket: Socket): boolean;
  /** The current request was admitted. */
  letIn(connection: Connection): void;
  /** Closes connections without a request at once, the others after their answers. */
  close(): void;
  closeNow(): void;
}

interface Entry extends Connection {
  raw: Socket;
  /** Answer to the current request; undefined when it is complete. */
  response: ServerResponse | undefined;
  /** The set that it is in (waiting, idle or answering), oldest first. */
  among: Set<Entry>;
}

/** Calls `evicted` for each connection that makes room. */
export function createConnections(
  ceiling: number,
  evicted: () => void,
  slow: (response: ServerResponse) => boolean = isSlow,
): Connections {
  const entries = new WeakMap<Socket, Entry>();
  const waiting = new Set<Entry>();
  const idle = new Set<Entry>();
  const answering = new Set<Entry>();
  let closing = false;

  const move = (entry: Entry, to: Set<Entry>) => {
    entry.among.delete(entry);
    entry.among = to;
    to.add(entry);
  };

  const makeRoom = (): boolean => {
    const slowOne = () => [...answering].find(({ response }) => response !== undefined && slow(response));
    const victim = oldest(waiting) ?? oldest(idle) ?? slowOne();
    if (victim === undefined) return false;
    victim.among.delete(victim);
    victim.raw.destroy();
    evicted();
    return true;
  };

  return {
    add: (raw) => {
      if (waiting.size + idle.size + answering.size >= ceiling && !makeRoom()) return false;
      const entry: Entry = { raw, response: undefined, failures: 0, among: waiting };
      waiting.add(entry);
      entries.set(raw, entry);
      raw.once('close', () => entry.among.delete(entry));
      return true;
    },
    alias: (secure, raw) => {
      const entry = entries.get(raw);
      if (entry !== undefined) entries.set(secure, entry);
    },
    begin: (socket, response) => {
      const entry = entries.get(socket);
      if (entry === undefined || entry.response !== undefined || entry.raw.destroyed) return undefined;
      entry.response = response;
      response.once('close', () => {
        entry.response = undefined;
        if (closing) socket.end();
        if (entry.among === answering && !entry.raw.destroyed) move(entry, idle);
      });
      return entry;
    },
    busy: (socket) => entries.get(socket)?.response !== undefined,
    letIn: (connection) => {
      const entry = connection as Entry;
      if (!entry.raw.destroyed) move(entry, answering);
    },
    close: () => {
      closing = true;
      for (const { raw, response } of [...waiting, ...idle]) if (response === undefined) raw.destroy();
    },
    closeNow: () => {
      for (const { raw } of [...waiting, ...idle, ...answering]) raw.destroy();
    },
  };
}

function oldest(set: ReadonlySet<Entry>): Entry | undefined {
  return set.values().next().value;
}
