/**
 * Tracks open connections, and chooses one to close if there are too many. First choice: the one that has waited
 * longest without an admitted request (a slow, silent or guessing client). Second: the one that has been idle longest
 * (its client can reconnect). Third: one whose client reads its answer slowly. Other connections with an unfinished
 * answer stay, because an answer must be whole or an error. If no connection can be closed, the new one is refused.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isSlow } from './respond.ts';

export interface Connection {
  /** Number of requests with wrong credentials on this connection. */
  failures: number;
}

export interface Connections {
  /** Adds an accepted connection. Returns false if no other connection could be closed for it. */
  add(raw: Socket): boolean;
  /** From now on, requests on `secure` belong to the connection of `raw`. */
  alias(secure: Socket, raw: Socket): void;
  /** A request arrived. Returns undefined if the previous request has no answer yet (pipelining is not supported). */
  begin(socket: Socket, response: ServerResponse): Connection | undefined;
  /** Whether a request has not been answered completely. */
  busy(socket: Socket): boolean;
  /** The current request was admitted. */
  letIn(connection: Connection): void;
  /** Closes connections without a request immediately, the others after their answers. */
  close(): void;
  closeNow(): void;
}

interface Entry extends Connection {
  raw: Socket;
  /** Answer to the current request. Undefined if it is complete. */
  response: ServerResponse | undefined;
  /** The set that contains the connection (waiting, idle or answering), oldest first. */
  among: Set<Entry>;
}

/** Calls `evicted` for each connection that is closed for a new one. */
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
